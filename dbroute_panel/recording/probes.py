"""
What Django asks in the place of the routers: the routers themselves, with a note of what passed by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from time import perf_counter_ns
from typing import Any

from dbroute_panel.recording.raw import RawStep
from dbroute_panel.recording.snapshots import described
from dbroute_panel.records import Action, Outcome

# A member of an enum is found slowly by its class, and these are needed at every decision.
RAISED, NO_METHOD = Outcome.RAISED, Outcome.NO_METHOD


class Asking(dict[int, "Probe"]):
    """
    What one thread asks in one trace, and what Django's routing functions get for ``self``.

    It has the probes by the identity of their routers, whose own ``__hash__()`` may be anything.
    ``decision``: the id of the decision whose routers are being asked, or None. ``last``: the step of the
    router that was asked last in it. ``routers``: what Django reads, probes in front of the real ones.
    ``source``: where those are.
    """

    __slots__ = ("decision", "last", "routers", "source")

    def __init__(self) -> None:
        self.decision: int | None = None
        self.last: Any = None
        self.routers: Iterable[Any] = ()
        self.source: Iterable[Any] = ()

    def watched(self, routers: Iterable[Any], left: Iterator[Any]) -> Iterator[Any]:
        """A probe for each of ``routers``, when its turn comes; ``left`` are those whose turn may come."""
        if type(routers) in (list, tuple):
            self.source = routers
            return map(self.__getitem__, map(id, left))
        return (Probe(router, self) for router in left)

    def __missing__(self, identity: int) -> Probe | None:
        # Nothing is raised into Django's loop. A router that another thread has just taken away is not asked.
        for router in self.source:
            if id(router) == identity:
                probe = self[identity] = Probe(router, self)
                return probe
        return None


class Probe:
    """
    In front of one router: calls it, and notes its step.

    It has every method: where the router has none Django goes on to the next one, and so it does where the
    answer is None. It keeps its router, whose identity stays its own.
    """

    __slots__ = tuple(action.value for action in Action)

    def __init__(self, router: Any, asking: Asking) -> None:
        for name in self.__slots__:
            setattr(self, name, _asked(router, name, asking))


def _asked(router: Any, name: str, asking: Asking) -> Callable[..., Any]:
    """The method ``name`` of ``router``, which is looked up when Django would look it up."""

    def ask(subject: Any, /, *others: Any, **hints: Any) -> Any:
        try:
            method = getattr(router, name)
        except AttributeError:
            asking.last = RawStep(router, None, perf_counter_ns(), asking.last, NO_METHOD)
            return None
        except BaseException as error:  # a property named like the method: Django lets it out too
            _fail(asking, router, error)
            raise
        try:
            answer = method(subject, *others, **hints) if others or hints else method(subject)
        except BaseException as error:
            _fail(asking, router, error)
            raise
        asking.last = RawStep(router, answer, perf_counter_ns(), asking.last)
        return answer

    return ask


def _fail(asking: Asking, router: Any, error: BaseException) -> None:
    step = asking.last = RawStep(router, None, perf_counter_ns(), asking.last, RAISED, type(error).__name__)
    with suppress(Exception):  # ours must not take the place of the router's
        step.error = described(error)
