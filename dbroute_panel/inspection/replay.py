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
from dbroute_panel.inspection.guard import Reached, guarded, watched
from dbroute_panel.inspection.isolation import Stopped, afresh, aside
from dbroute_panel.inspection.override import make_routers, standing_in
from dbroute_panel.inspection.reconstruct import NotReplayableError, Registry, is_rebuilt, unknown
from dbroute_panel.inspection.replay_result import Change, Raised, Reason, Replay, Tally
from dbroute_panel.inspection.transactions import OpenTransactions
from dbroute_panel.recording.snapshots import Typed, described, scalar
from dbroute_panel.records import Decision, Trace, TypeRef

__all__ = ["Change", "Reason", "Replay", "replay"]

MOST_REPEATS: Final = 1000


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
    if not 1 <= repeat <= MOST_REPEATS:
        raise AskError(
            _("Ask 1 to %(most)d times, not %(repeat)d.") % {"most": MOST_REPEATS, "repeat": repeat}
        )
    others = None if routers is None else make_routers(routers)
    registry, tally = Registry(), Tally(repeat, todays=routers is None)
    with guard.PATCHES, override.PATCHES, reconstruct.PATCHES:
        for trace in traces:
            aside(partial(afresh, partial(_replay_trace, trace, others, registry, tally)), seconds=None)
            if progress is not None:
                progress(tally.asked)
    return tally.result()


def _replay_trace(trace: Trace, routers: list[Any] | None, registry: Registry, tally: Tally) -> None:
    decisions = trace.decisions
    recorded = {decision.id for decision in decisions}
    transactions = OpenTransactions(trace)
    with guarded(), standing_in(routers), transactions.standing_in() as turn_to:
        for decision in decisions:
            if decision.parent_id is None:
                turn_to(decision)
                try:
                    answers = Counter(ask_again(decision, registry) for _turn in range(tally.repeat))
                except NotReplayableError as error:
                    tally.give_up(str(error))
                else:
                    tally.count(decision, answers)
            elif decision.parent_id not in recorded:
                tally.give_up(_("It was asked by a router in a decision that the trace does not hold."))


def ask_again(decision: Decision, registry: Registry) -> Any:
    """What the routers answer now, as a Decision has it, or ``Raised``. Raises ``NotReplayableError``."""
    answer: Any = None
    with watched() as watch, suppress(Reached):
        answer = _answer(registry.question(decision))
    if watch.reason is not None:  # also where the router went on as if it had not been stopped
        raise NotReplayableError(watch.reason)
    return TypeRef(type=answer.path) if isinstance(answer, Typed) else answer


def _answer(question: Callable[[], Any]) -> Any:
    try:
        return scalar(question())
    except (KeyboardInterrupt, Stopped, Reached):
        raise
    except BaseException as error:  # whatever a router raises, SystemExit too, is its answer
        if (missing := _missing_attribute(error)) is not None:
            raise NotReplayableError(missing) from None
        return Raised(described(error))


def _missing_attribute(error: BaseException) -> str | None:
    """Why, where ``error`` comes from an attribute that a rebuilt object would have had in real life."""
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        if isinstance(link, AttributeError) and is_rebuilt(link.obj):
            return unknown(link.obj, link.name)
        seen.add(id(link))
        link = link.__cause__ or link.__context__
    return None
