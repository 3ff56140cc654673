"""
Watching ``on_commit()``: which functions are given to it, on which alias, and what becomes of them.

What is given, kept and called stays the very function: nothing is wrapped around it. A function that waits is
known by the set of savepoints that Django keeps beside it, which no other has. It is gone from the list
of the connection when it has run or is discarded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from inspect import ismethod
from time import perf_counter_ns
from types import BuiltinFunctionType, FrameType, FunctionType
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from dbroute_panel.environment import dotted_path
from dbroute_panel.recording.captured import CapturedCommitHook
from dbroute_panel.recording.recorder import Recorder, recording
from dbroute_panel.recording.snapshots import capture_scalar
from dbroute_panel.recording.stack import find_callsite
from dbroute_panel.recording.transactions import is_of_a_test, transaction_of
from dbroute_panel.records import HookOutcome

Method = Callable[..., Any]
Waiting = list[tuple[Any, CapturedCommitHook]]

_WAITING: Final = "_dbroute_panel_hooks"
"""On a connection: what waits there, as (the set of savepoints that Django has for it, its event)."""


def watch() -> None:
    """Begin to watch every connection; calling it again changes nothing."""
    for name, wrapper in (
        ("on_commit", _given),
        ("run_and_clear_commit_hooks", _running),
        ("rollback", _discarding),
        ("savepoint_rollback", _discarding),
        ("close", _discarding),
    ):
        method = getattr(BaseDatabaseWrapper, name)
        if not getattr(method, "watches_hooks", False):
            wrapped: Any = wrapper(method)
            wrapped.watches_hooks = True
            setattr(BaseDatabaseWrapper, name, wrapped)


def watch_tests() -> None:
    """Watch what runs the functions that wait inside of ``TestCase``, once Django's tests are imported."""
    case = getattr(sys.modules.get("django.test.testcases"), "TestCase", None)
    method = getattr(case, "__dict__", {}).get("captureOnCommitCallbacks")
    if isinstance(method, classmethod) and not getattr(method.__func__, "watches_hooks", False):
        watched: Any = _capturing(method.__func__)
        watched.watches_hooks = True
        case.captureOnCommitCallbacks = classmethod(watched)  # type: ignore[union-attr]


def function_name(function: Any) -> str:
    """The dotted name of the code that a call runs. No code of the project's is asked for it."""
    while type(function) is partial:
        function = function.func
    if ismethod(function):
        function = function.__func__
    if type(function) in (FunctionType, BuiltinFunctionType):
        name = str(function.__qualname__)
        # A method of a builtin object, as [].clear, has no module.
        return f"{module}.{name}" if (module := function.__module__) else name
    return dotted_path(function) if issubclass(type(function), type) else f"{dotted_path(function)}.__call__"


# Given


def _given(original: Method) -> Method:
    @wraps(original)
    def on_commit(self: BaseDatabaseWrapper, func: Any, *args: Any, **kwargs: Any) -> Any:
        raw = None
        if (recorder := recording()) is not None and (event := recorder.draw("on_commit")):
            raw = _raw(recorder, self, event, func, sys._getframe(1), *args, **kwargs)
        if recorder is None or raw is None:
            return original(self, func, *args, **kwargs)
        waits = self.in_atomic_block
        try:
            result = original(self, func, *args, **kwargs)
        except BaseException as error:
            # Django refuses what cannot be called, and what is given in a transaction by hand.
            own = error.__traceback__ and error.__traceback__.tb_next
            if own is not None and own.tb_next is not None:
                recorder.events.append(raw)
            raise
        if waits:
            _wait(recorder, self, raw)
        recorder.events.append(raw)
        return result

    return on_commit


def _raw(
    recorder: Recorder,
    connection: BaseDatabaseWrapper,
    event: int,
    function: Any,
    frame: FrameType,
    robust: Any = False,
    *others: Any,
    **named: Any,
) -> CapturedCommitHook | None:
    try:
        waits = connection.in_atomic_block
        now = perf_counter_ns()
        return CapturedCommitHook(
            event,
            now,
            capture_scalar(connection.alias),
            function_name(function),
            bool(robust),
            waits and not is_of_a_test(connection),
            transaction_of(connection, recorder),
            find_callsite(frame) if recorder.callsites else None,
            HookOutcome.PENDING if waits else HookOutcome.RAN_AT_ONCE,
            None if waits else now,
        )
    except Exception:
        recorder.lost("on_commit")
        return None


def _wait(recorder: Recorder, connection: BaseDatabaseWrapper, raw: CapturedCommitHook) -> None:
    try:
        waiting: Waiting = connection.__dict__.setdefault(_WAITING, [])
        waiting.append((connection.run_on_commit[-1][0], raw))
    except Exception:
        recorder.lost("on_commit")


# Run, or discarded


class _Hooks(list[Any]):
    """The functions that Django is about to run, which it takes out one by one."""

    def __init__(self, hooks: list[Any], waiting: Waiting) -> None:
        super().__init__(hooks)
        self.waiting = waiting

    def pop(self, *args: Any) -> Any:
        hook = super().pop(*args)
        _end(self.waiting, hook, HookOutcome.RAN, perf_counter_ns())
        return hook


def _running(original: Method) -> Method:
    @wraps(original)
    def run_and_clear_commit_hooks(self: BaseDatabaseWrapper) -> Any:
        waiting: Waiting | None = self.__dict__.get(_WAITING)
        if not waiting or self.in_atomic_block:
            return original(self)
        del self.__dict__[_WAITING]  # what they give to on_commit() in their turn waits there
        self.run_on_commit = _Hooks(self.run_on_commit, waiting)
        try:
            return original(self)
        finally:
            _discard(waiting)  # what comes after one that raised never runs

    return run_and_clear_commit_hooks


def _discarding(original: Method) -> Method:
    @wraps(original)
    def method(self: BaseDatabaseWrapper, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(self, *args, **kwargs)
        finally:
            if self.__dict__.get(_WAITING):
                _settle(self)

    return method


def _settle(connection: BaseDatabaseWrapper) -> None:
    """Whatever Django does not keep any longer is discarded, unless it has run."""
    kept = {id(hook[0]) for hook in connection.run_on_commit}
    waiting: Waiting = connection.__dict__.pop(_WAITING)
    _discard([one for one in waiting if id(one[0]) not in kept])
    if left := [one for one in waiting if id(one[0]) in kept]:
        connection.__dict__[_WAITING] = left


def _discard(waiting: Waiting) -> None:
    now = perf_counter_ns()
    for _savepoints, raw in waiting:
        if raw.outcome is HookOutcome.PENDING:
            raw.outcome, raw.end = HookOutcome.DISCARDED, now


def _end(waiting: Waiting, hook: Any, outcome: HookOutcome, now: int) -> None:
    for savepoints, raw in waiting:
        if savepoints is hook[0]:
            raw.outcome, raw.end = outcome, now


def _capturing(original: Method) -> Method:
    """
    ``captureOnCommitCallbacks()``, which runs with ``execute`` what waits for a test's end.

    It keeps them in the list of the connection, and in a list of its own those that it has begun to run.
    """

    @wraps(original)
    @contextmanager
    def capture(
        cls: Any, *, using: str = DEFAULT_DB_ALIAS, execute: bool = False
    ) -> Iterator[list[Callable[[], Any]]]:
        first, callbacks, now = len(connections[using].run_on_commit), [], 0
        try:
            with original(cls, using=using, execute=execute) as callbacks:
                try:
                    yield callbacks
                finally:
                    now = perf_counter_ns()
        finally:
            waiting = connections[using].__dict__.get(_WAITING)
            if execute and waiting:
                for hook in connections[using].run_on_commit[first : first + len(callbacks)]:
                    _end(waiting, hook, HookOutcome.RAN, now)

    return capture
