"""
What would change: every recorded decision, asked again of today's routers or of others.

Nothing is written and no database is reached (``guard.py``). What is asked:

- Every decision that was asked from outside. One that a router asked while it was deciding
  (``parent``) comes about by itself when that outer question is asked, if the routers still want
  it; it is neither asked by itself nor counted.
- Each trace on a thread and in a context of its own, in order, as its request was: a router that pins
  its thread or context to the primary pins it for that trace.
- Each decision with the transactions open that were open then (``transactions.py``). What middleware or
  other code than the routers had pinned is in no trace; ``Replay.notes`` says so where it may matter.
  What is pinned where the replay is asked for, as by the admin's own middleware, is not seen by it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from django.utils.translation import gettext as _

from dbroute_panel.inspection import guard, override, reconstruct
from dbroute_panel.inspection.arguments import AskError
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

MAX_REPEATS: Final = 1000


def replay(
    traces: Iterable[Trace],
    *,
    routers: Sequence[str] | None = None,
    repeat: int = 1,
    progress: Callable[[int], object] | None = None,
) -> Replay:
    """
    Ask every recorded question again, and count what would change.

    ``routers``: dotted paths, in order; None asks today's (``django.db.router``, its routers as they
    are now). ``repeat``: how often to ask each question, 1 to 1000; what was recorded is the same if it
    is among the answers, and none of these is one that would have been recorded long since
    (``changes.EXPECTED``). ``progress`` is called after each trace with how many were asked so far.
    Raises ``AskError`` for a router that cannot be made.
    """
    if not 1 <= repeat <= MAX_REPEATS:
        raise AskError(
            _("Ask 1 to %(most)d times, not %(repeat)d.") % {"most": MAX_REPEATS, "repeat": repeat}
        )
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
    """What the routers answer now, as a Decision has it, or ``Raised``. Raises ``NotReplayableError``."""
    answer: Any = None
    with guard_question() as watch, suppress(DatabaseAccessBlocked):
        answer = _get_answer(rebuilder.rebuild_call(decision))
    if watch.reason is not None:  # also where the router went on as if it had not been stopped
        raise NotReplayableError(watch.reason)
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
    """Why, where ``error`` comes from an attribute that a rebuilt object would have had in real life."""
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        if isinstance(link, AttributeError) and is_rebuilt(link.obj):
            return explain_unknown(link.obj, link.name)
        seen.add(id(link))
        link = link.__cause__ or link.__context__
    return None
