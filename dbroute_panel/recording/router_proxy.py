"""
Stand in for the router and for each of its routers: they are called as ever, with a note of what passed by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from time import perf_counter_ns
from typing import Any, Final

from dbroute_panel.recording.captured import CapturedDecision, CapturedStep
from dbroute_panel.recording.errors import describe_error
from dbroute_panel.records import Action, Outcome

# A member of an enum is found slowly by its class, and these are needed at every decision.
RAISED, NO_METHOD = Outcome.RAISED, Outcome.NO_METHOD

_LIST_ITERATORS: Final = (list.__iter__, tuple.__iter__)
"""Each call makes a new iterator, and runs no code of the user's."""


class RouterStandIn(dict[int, "RouterProxy"]):
    """
    What Django's routing functions get for ``self``, for one thread in one trace.

    It has the proxies by the identity of their routers, whose ``__hash__()`` may be anything.
    ``decision``: the one whose routers are being asked, or None. ``routers``: what Django reads, proxies in
    front of the real ones. ``source``: where those are. ``ended``: whether the trace is over, after which no
    proxy is kept.
    """

    __slots__ = ("decision", "ended", "routers", "source")

    def __init__(self) -> None:
        self.decision: CapturedDecision | None = None
        self.routers: Iterable[Any] = ()
        self.source: Iterable[Any] = ()
        self.ended = False

    def make_proxies(
        self, routers: Iterable[Any], unasked: Iterator[Any], parent: CapturedDecision | None
    ) -> tuple[Iterator[Any], Any]:
        """
        Return (a proxy for each of ``routers``, when its turn comes; those whose turn will not have come).

        ``unasked`` iterates over ``routers``; what a user's own iterator has left is for the next question.
        ``parent``: the decision in whose midst they are asked, which still needs its ``source``.
        """
        if type(routers) in (list, tuple) and (parent is None or routers is self.source):
            self.source = routers
            return map(self.__getitem__, map(id, unasked)), unasked
        is_list = getattr(type(routers), "__iter__", None) in _LIST_ITERATORS
        return self._iter_proxies(unasked), unasked if is_list else ()

    def _iter_proxies(self, unasked: Iterator[Any]) -> Iterator[Any]:
        while True:  # as "for" does, which needs no iterator that is iterable itself
            try:
                router = next(unasked)
            except StopIteration:
                return
            yield RouterProxy(router, self)

    def end(self) -> None:
        """Let go of the proxies: each holds us. A decision may be in the midst of its routers."""
        self.ended = True
        self.clear()

    def __missing__(self, identity: int) -> RouterProxy | None:
        # Nothing is raised into Django's loop. A router that another thread has just taken away is not asked.
        for router in self.source:
            if id(router) == identity:
                proxy = self[identity] = RouterProxy(router, self)
                if self.ended:
                    self.clear()
                return proxy
        return None


class RouterProxy:
    """
    In front of one router: calls it, and notes its step.

    It has every method: where the router has none Django goes on to the next one, and so it does where the
    answer is None. It keeps its router, whose identity stays its own.
    """

    __slots__ = tuple(action.value for action in Action)

    def __init__(self, router: Any, stand_in: RouterStandIn) -> None:
        for name in self.__slots__:
            setattr(self, name, _make_method(router, name, stand_in))


def _make_method(router: Any, name: str, stand_in: RouterStandIn) -> Callable[..., Any]:
    """Return the method ``name`` of ``router``, which is looked up when Django would look it up."""

    def ask(subject: Any, /, *others: Any, **hints: Any) -> Any:
        decision: Any = stand_in.decision
        try:
            method = getattr(router, name)
        except AttributeError:
            decision.last = CapturedStep(router, None, perf_counter_ns(), decision.last, NO_METHOD)
            return None
        except BaseException as error:  # a property named like the method: Django lets it out too
            _record_failure(decision, router, error)
            raise
        try:
            answer = method(subject, *others, **hints) if others or hints else method(subject)
        except BaseException as error:
            _record_failure(decision, router, error)
            raise
        decision.last = CapturedStep(router, answer, perf_counter_ns(), decision.last)
        return answer

    return ask


def _record_failure(decision: CapturedDecision, router: Any, error: BaseException) -> None:
    decision.last = step = CapturedStep(
        router, None, perf_counter_ns(), decision.last, RAISED, type(error).__name__
    )
    with suppress(Exception):  # ours must not take the place of the router's
        step.error = describe_error(error)
