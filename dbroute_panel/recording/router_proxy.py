"""
What Django asks in the place of the routers: the routers themselves, with a note of what passed by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from time import perf_counter_ns
from typing import Any, Final

from dbroute_panel.recording.captured import CapturedStep
from dbroute_panel.recording.errors import describe_error
from dbroute_panel.records import Action, Outcome

# A member of an enum is found slowly by its class, and these are needed at every decision.
RAISED, NO_METHOD = Outcome.RAISED, Outcome.NO_METHOD

_OF_LISTS: Final = (list.__iter__, tuple.__iter__)
"""What makes an iterator of its own each time, which runs no code of the user's."""


class Asking(dict[int, "Probe"]):
    """
    What one thread asks in one trace, and what Django's routing functions get for ``self``.

    It has the probes by the identity of their routers, whose own ``__hash__()`` may be anything.
    ``decision``: the id of the decision whose routers are being asked, or None. ``last``: the step of the
    router that was asked last in it. ``routers``: what Django reads, probes in front of the real ones.
    ``source``: where those are. ``over``: whether the trace has ended, after which no probe is kept.
    """

    __slots__ = ("decision_id", "last", "over", "routers", "source")

    def __init__(self) -> None:
        self.decision_id: int | None = None
        self.last: Any = None
        self.routers: Iterable[Any] = ()
        self.source: Iterable[Any] = ()
        self.over = False

    def watched(
        self, routers: Iterable[Any], left: Iterator[Any], outer: int | None
    ) -> tuple[Iterator[Any], Any]:
        """
        (a probe for each of ``routers``, when its turn comes; those whose turn will not have come).

        ``left`` iterates over ``routers``. ``outer`` is the decision in whose midst they are asked: it still
        needs its ``source``. What somebody's own iterator has left is for the next one who asks it.
        """
        if type(routers) in (list, tuple) and (outer is None or routers is self.source):
            self.source = routers
            return map(self.__getitem__, map(id, left)), left
        return self._each(left), left if getattr(type(routers), "__iter__", None) in _OF_LISTS else ()

    def _each(self, left: Iterator[Any]) -> Iterator[Any]:
        while True:  # as "for" does, which needs no iterator that is iterable itself
            try:
                router = next(left)
            except StopIteration:
                return
            yield Probe(router, self)

    def end(self) -> None:
        """Let go of the probes: each holds us. A decision may be in the midst of its routers."""
        self.over = True
        self.clear()

    def __missing__(self, identity: int) -> Probe | None:
        # Nothing is raised into Django's loop. A router that another thread has just taken away is not asked.
        for router in self.source:
            if id(router) == identity:
                probe = self[identity] = Probe(router, self)
                if self.over:
                    self.clear()
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
            asking.last = CapturedStep(router, None, perf_counter_ns(), asking.last, NO_METHOD)
            return None
        except BaseException as error:  # a property named like the method: Django lets it out too
            _fail(asking, router, error)
            raise
        try:
            answer = method(subject, *others, **hints) if others or hints else method(subject)
        except BaseException as error:
            _fail(asking, router, error)
            raise
        asking.last = CapturedStep(router, answer, perf_counter_ns(), asking.last)
        return answer

    return ask


def _fail(asking: Asking, router: Any, error: BaseException) -> None:
    step = asking.last = CapturedStep(
        router, None, perf_counter_ns(), asking.last, RAISED, type(error).__name__
    )
    with suppress(Exception):  # ours must not take the place of the router's
        step.error = describe_error(error)
