"""
The lifetime of a trace: ``trace()``, and what joins it.

There is one trace at a time in a context. What begins while one is active joins it: it has the part of the
events recorded meanwhile, and only the outermost is finished and kept.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import suppress
from contextvars import Token
from time import perf_counter_ns
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import msgspec
from asgiref.sync import iscoroutinefunction

from dbroute_panel.conf import panel_settings
from dbroute_panel.recording.builder import TraceBuilder
from dbroute_panel.recording.captured import CapturedEvent
from dbroute_panel.recording.exceptions import note_ended_trace
from dbroute_panel.recording.hooks import watch_tests
from dbroute_panel.recording.recorder import (
    Recorder,
    active,
    find_live_recorder,
    log_once,
    recording,
    use_recorder,
)
from dbroute_panel.recording.trace_sink import sink
from dbroute_panel.records import (
    CommitHook,
    Decision,
    Event,
    ExceptionRaised,
    Finding,
    Level,
    Query,
    Trace,
    Transaction,
)

Function = TypeVar("Function", bound=Callable[..., Any])
Kind = Literal["request", "block", "command", "task"]
KINDS = ("request", "block", "command", "task")


def add_findings(document: Trace) -> Trace:
    """Return the document with its findings."""
    return msgspec.structs.replace(document, findings=sink.find_findings(document))


class NoDocumentYet(RuntimeError, AttributeError):
    """Raised if the document of a trace is read before its block has ended; ``hasattr()`` is False then."""


class trace:  # noqa: N801 - used like a function, as contextlib's own are
    """
    Record every routing decision, query and transaction of a block or function.

    A context manager, sync and async, and a decorator for ``def`` and ``async def``::

        with trace("nightly import") as t:
            ...
        t.document

    ``kind`` is ``"block"``, ``"command"``, ``"task"`` or ``"request"``; ``keep=False`` stores
    nothing. Inside an active trace it joins that one: ``t`` has the events recorded meanwhile.
    Raises ``ValueError`` for another kind, ``TypeError`` where it decorates a generator function.
    """

    def __init__(self, name: str, *, kind: Kind = "block", keep: bool = True) -> None:
        if kind not in KINDS:
            raise ValueError(f"No kind of trace {kind!r}. Choose one of {', '.join(KINDS)}.")
        self.name = str(name)
        self.kind = kind
        self.keep = keep
        self._recorder: Recorder | None = None
        self._token: Token[Recorder | None] | None = None
        self._events: list[CapturedEvent] = []
        self._document: Trace | None = None
        self._parent: Any = None
        self._started = 0
        self._ended: int | None = None
        self._first = 0
        self._last: int | None = None
        self._raised: int | None = None

    # Beginning and ending

    def begin(self) -> Self:
        """Begin to record in this context, or join the active trace. ``RuntimeError`` if it has begun."""
        if self._recorder is not None and self._document is None:
            raise RuntimeError(f"The trace {self.name!r} has already begun. Make another one with trace().")
        outer = recording()
        self._document = self._ended = self._last = self._token = self._raised = None
        self._started = perf_counter_ns()
        if outer is None:
            self._parent = sink.get_parent()
            watch_tests()
            self._recorder = Recorder(self.name, self.kind)
            self._first = 0
            self._token = active.set(self._recorder)
        else:
            self._recorder = outer
            self._first = outer.latest
        self._events = self._recorder.events
        return self

    @property
    def joined(self) -> bool:
        """Whether this block joined a trace that was active before."""
        return self._token is None

    def stop(self) -> None:
        """Record no more in this context. The trace is finished later, by ``finish()``."""
        recorder = self._get_recorder()
        if self._ended is None:
            self._ended = perf_counter_ns()
            self._last = recorder.latest if self.joined else None
        if self._token is not None and active.get() is recorder:
            try:
                active.reset(self._token)
            except (ValueError, RuntimeError):
                # It began in another context (a fixture's, a task's): there is nothing to go back to. Or it
                # was stopped: asgiref copies what a thread has set into a task that was cancelled.
                active.set(None)

    def finish(self) -> None:
        """Make the document, and keep it if this is the outermost block. Safe to call again."""
        self.stop()
        if self._document is not None:
            return
        recorder = self._get_recorder()
        if not self.joined:
            recorder.close(self._ended)
        self._document = self._build()
        if not self.joined:
            recorder.forget()
        if self.keep and not self.joined and (recorder.shown or is_kept(self._document)):
            with use_recorder(None):  # a response may be collected in the context of another trace
                sink.keep(self._document)
                sink.send(self._document, self._parent)

    def __enter__(self) -> Self:
        return self.begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        try:
            if error is not None and self._document is None and not self._get_recorder().closed:
                self._raised = note_ended_trace(self._get_recorder(), error, whole=not self.joined)
            self.finish()
        except Exception:
            log_once("dbroute_panel could not finish the trace %r.", self.name)

    async def __aenter__(self) -> Self:
        return self.begin()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, where)

    def __call__(self, function: Function) -> Function:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            name = getattr(function, "__name__", function)
            raise TypeError(
                f"trace() cannot decorate the generator function {name}(): "
                "its body runs later, piece by piece. Use 'with trace(...)' inside it."
            )
        if iscoroutinefunction(function):

            @functools.wraps(function)
            async def traced_async(*args: Any, **kwargs: Any) -> Any:
                async with trace(self.name, kind=self.kind, keep=self.keep):
                    return await function(*args, **kwargs)

            return copy_signature(function, traced_async)

        @functools.wraps(function)
        def traced(*args: Any, **kwargs: Any) -> Any:
            with trace(self.name, kind=self.kind, keep=self.keep):
                return function(*args, **kwargs)

        return copy_signature(function, traced)

    # Reading

    @property
    def id(self) -> str:
        """The id of the trace, 32 hex digits; a joined block's is that of the trace it joined."""
        return self._get_recorder().trace_id

    @property
    def document(self) -> Trace:
        """The finished Trace. Raises ``RuntimeError`` while the block has not ended: then it is not there."""
        if self._document is None:
            raise NoDocumentYet(f"The trace {self.name!r} has no document before its block has ended.")
        return self._document

    @property
    def events(self) -> list[Event]:
        """All events, in order of their start; inside the block, those recorded so far."""
        return self.document.events if self._document is not None else self._make_builder().events()

    @property
    def decisions(self) -> list[Decision]:
        """The decisions, as recorded so far."""
        return [event for event in self.events if isinstance(event, Decision)]

    @property
    def queries(self) -> list[Query]:
        """The queries, as recorded so far."""
        return [event for event in self.events if isinstance(event, Query)]

    @property
    def transactions(self) -> list[Transaction]:
        """The openings and endings of transactions, as recorded so far."""
        return [event for event in self.events if isinstance(event, Transaction)]

    @property
    def commit_hooks(self) -> list[CommitHook]:
        """The functions given to ``on_commit()``, as recorded so far."""
        return [event for event in self.events if isinstance(event, CommitHook)]

    @property
    def exceptions(self) -> list[ExceptionRaised]:
        """The exceptions that left an ``atomic()`` block, as recorded so far."""
        return [event for event in self.events if isinstance(event, ExceptionRaised)]

    @property
    def findings(self) -> list[Finding]:
        """The findings in what is recorded so far."""
        return (self._document or self._build()).findings

    def _get_recorder(self) -> Recorder:
        if self._recorder is None:
            raise RuntimeError(f"The trace {self.name!r} has not begun: use it in a with statement.")
        return self._recorder

    def _make_builder(self) -> TraceBuilder:
        recorder, first, last = self._get_recorder(), self._first, self._last
        if not self.joined:
            return TraceBuilder(recorder, self._events)
        return TraceBuilder(
            recorder,
            self._events,
            only=lambda event: first < event and (last is None or event <= last),
            started=self._started,
        )

    def _build(self) -> Trace:
        document = self._make_builder().trace(self.name, self.kind, self._ended)
        if self._raised is not None:  # it ended this block, even if it was caught outside
            document = msgspec.structs.replace(
                document, events=[_mark_ending(event, self._raised) for event in document.events]
            )
        return add_findings(document)


def _mark_ending(event: Event, number: int) -> Event:
    return msgspec.structs.replace(event, ended="trace") if event.id == number else event


def copy_signature(function: Function, traced: Callable[..., Any]) -> Function:
    """
    Give a wrapper the signature of what it wraps, and return it.

    Celery checks a task's arguments by the signature of the function itself.
    """
    with suppress(TypeError, ValueError):  # some C functions have none
        traced.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return traced  # type: ignore[return-value]


def is_kept(document: Trace) -> bool:
    """Return whether ``KEEP`` covers a trace: all of them, or those with a finding above level info."""
    return panel_settings.KEEP == "all" or any(found.level is not Level.INFO for found in document.findings)


def find(trace_id: str) -> Trace | None:
    """Return what is recorded so far of a trace that this process is recording; None for any other id."""
    recorder = find_live_recorder(trace_id)
    return (
        None if recorder is None else add_findings(TraceBuilder(recorder).trace(recorder.name, recorder.kind))
    )
