"""
Ask every recorded decision again, of the current routers or of others, and count what would change.

Nothing is written and no database is reached (``guard.py``).

- A decision that a router asked while it was deciding (``parent_id``) is neither asked nor counted: the
  routers ask it again when the outer question is asked.
- Each trace is asked in order, on a separate thread in an empty context, as its request was: a router that
  pins its thread or context to the primary pins it for that trace only.
- Each decision is asked with the transactions open that were open then (``transactions.py``). What
  middleware had pinned is in no trace; ``Replay.notes`` says so where it may matter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from django.utils.translation import gettext as _

from dbroute_panel.inspection import guard, override, reconstruct
from dbroute_panel.inspection.arguments import check_repeat
from dbroute_panel.inspection.guard import DatabaseAccessBlocked, guard_databases, guard_question
from dbroute_panel.inspection.isolation import IsolationInterrupt, run_in_empty_context, run_isolated
from dbroute_panel.inspection.override import make_routers, override_routers
from dbroute_panel.inspection.reconstruct import (
    DecisionRebuilder,
    NotReplayableError,
    explain_unknown,
    is_rebuilt,
)
from dbroute_panel.inspection.replay_result import Change, RaisedAnswer, Reason, Replay, ReplayCounter
from dbroute_panel.inspection.transactions import OpenTransactions
from dbroute_panel.masking.values import CapturedType
from dbroute_panel.recording.errors import describe_error
from dbroute_panel.recording.snapshots import capture_scalar
from dbroute_panel.records import Decision, Trace, TypeRef

__all__ = ["Change", "Reason", "Replay", "replay"]


def replay(
    traces: Iterable[Trace],
    *,
    routers: Sequence[str] | None = None,
    repeat: int = 1,
    progress: Callable[[int], object] | None = None,
) -> Replay:
    """
    Ask every recorded question again, and count what would change.

    Args:
        traces: The traces, which are read one at a time.
        routers: Dotted paths, in order; None asks the current routers of ``django.db.router``.
        repeat: How often to ask each question, 1 to 1000. A decision is the same if the recorded answer is
            among the answers, and no answer is new and frequent (``replay_result.MIN_EXPECTED``).
        progress: Called after each trace with the number of decisions asked so far.

    Raises:
        AskError: A router cannot be made, or ``repeat`` is out of range.
    """
    check_repeat(repeat)
    others = None if routers is None else make_routers(routers)
    rebuilder, counter = DecisionRebuilder(), ReplayCounter(repeat, asks_current_routers=routers is None)
    with guard.PATCHES, override.PATCHES, reconstruct.PATCHES:
        for trace in traces:
            run_isolated(
                partial(run_in_empty_context, partial(_replay_trace, trace, others, rebuilder, counter)),
                seconds=None,
            )
            if progress is not None:
                progress(counter.asked)
    return counter.build_result()


def _replay_trace(
    trace: Trace, routers: list[Any] | None, rebuilder: DecisionRebuilder, counter: ReplayCounter
) -> None:
    decisions = trace.decisions
    recorded = {decision.id for decision in decisions}
    transactions = OpenTransactions(trace)
    with guard_databases(), override_routers(routers), transactions.override_connections() as switch_to:
        for decision in decisions:
            if decision.parent_id is None:
                switch_to(decision)
                try:
                    answers = Counter(ask_again(decision, rebuilder) for _turn in range(counter.repeat))
                except NotReplayableError as error:
                    counter.count_failure(str(error))
                else:
                    counter.count(decision, answers)
            elif decision.parent_id not in recorded:
                counter.count_failure(
                    _("It was asked by a router in a decision that the trace does not hold.")
                )


def ask_again(decision: Decision, rebuilder: DecisionRebuilder) -> Any:
    """Return what the routers answer now, or a ``RaisedAnswer``. Raises ``NotReplayableError``."""
    answer: Any = None
    with guard_question() as current, suppress(DatabaseAccessBlocked):
        answer = _get_answer(rebuilder.rebuild_call(decision))
    if current.reason is not None:  # also if the router caught the exception
        raise NotReplayableError(current.reason)
    return TypeRef(type=answer.path) if isinstance(answer, CapturedType) else answer


def _get_answer(question: Callable[[], Any]) -> Any:
    try:
        return capture_scalar(question())
    except (KeyboardInterrupt, IsolationInterrupt, DatabaseAccessBlocked):
        raise
    except BaseException as error:  # whatever a router raises, SystemExit too, is its answer
        if (missing := _find_missing_attribute(error)) is not None:
            raise NotReplayableError(missing) from None
        return RaisedAnswer(describe_error(error))


def _find_missing_attribute(error: BaseException) -> str | None:
    """Return why, if ``error`` comes from an attribute that only a rebuilt object lacks; else None."""
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        if isinstance(link, AttributeError) and is_rebuilt(link.obj):
            return explain_unknown(link.obj, link.name)
        seen.add(id(link))
        link = link.__cause__ or link.__context__
    return None
