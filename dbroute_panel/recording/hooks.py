"""
Record which functions are given to ``on_commit()``, on which alias, and what becomes of them.

The function itself is kept and called, with nothing wrapped around it. One that waits is recognised by the
set of savepoints that Django keeps beside it, which belongs to no other. It is gone from the list of the
connection when it has run or is discarded.
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
from dbroute_panel.recording.transactions import is_of_a_test, transaction_of
from dbroute_panel.records import HookOutcome

Method = Callable[..., Any]
Waiting = list[tuple[Any, CapturedCommitHook]]

_WAITING: Final = "_dbroute_panel_hooks"
"""Attribute of a connection: what waits there, as (the set of savepoints that Django keeps, its event)."""


def watch() -> None:
    """Watch every connection. Calling it again changes nothing."""
    for name, wrapper in (
        ("on_commit", _wrap_on_commit),
        ("run_and_clear_commit_hooks", _wrap_running),
        ("rollback", _wrap_discarding),
        ("savepoint_rollback", _wrap_discarding),
        ("close", _wrap_discarding),
    ):
        method = getattr(BaseDatabaseWrapper, name)
        if not getattr(method, "watches_hooks", False):
            wrapped: Any = wrapper(method)
            wrapped.watches_hooks = True
            setattr(BaseDatabaseWrapper, name, wrapped)


def watch_tests() -> None:
    """Watch ``captureOnCommitCallbacks()``, if ``django.test`` is imported."""
    case = getattr(sys.modules.get("django.test.testcases"), "TestCase", None)
    method = getattr(case, "__dict__", {}).get("captureOnCommitCallbacks")
    if isinstance(method, classmethod) and not getattr(method.__func__, "watches_hooks", False):
        watched: Any = _wrap_capture(method.__func__)
        watched.watches_hooks = True
        case.captureOnCommitCallbacks = classmethod(watched)  # type: ignore[union-attr]


def get_function_name(function: Any) -> str:
    """Return the dotted name of what a call runs, without running any code of the project."""
    while type(function) is partial:
        function = function.func
    if ismethod(function):
        function = function.__func__
    if type(function) in (FunctionType, BuiltinFunctionType):
        name = str(function.__qualname__)
        # A method of a builtin object, as [].clear, has no module.
        return f"{module}.{name}" if (module := function.__module__) else name
    return dotted_path(function) if issubclass(type(function), type) else f"{dotted_path(function)}.__call__"


# Registered


def _wrap_on_commit(original: Method) -> Method:
    @wraps(original)
    def on_commit(self: BaseDatabaseWrapper, func: Any, *args: Any, **kwargs: Any) -> Any:
        raw = None
        if (recorder := recording()) is not None and (event := recorder.draw("on_commit")):
            raw = _capture_hook(recorder, self, event, func, sys._getframe(1), *args, **kwargs)
        if recorder is None or raw is None:
            return original(self, func, *args, **kwargs)
        waits = self.in_atomic_block
        try:
            result = original(self, func, *args, **kwargs)
        except BaseException as error:
            # Django refuses what cannot be called, and everything in a transaction without atomic().
            own = error.__traceback__ and error.__traceback__.tb_next
            if own is not None and own.tb_next is not None:
                recorder.events.append(raw)
            raise
        if waits:
            _note_waiting(recorder, self, raw)
        recorder.events.append(raw)
        return result

    return on_commit


def _capture_hook(
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
            get_function_name(function),
            bool(robust),
            waits and not is_of_a_test(connection),
            transaction_of(connection, recorder),
            recorder.find_callsite(frame),
            HookOutcome.PENDING if waits else HookOutcome.RAN_AT_ONCE,
            None if waits else now,
        )
    except Exception:
        recorder.lost("on_commit")
        return None


def _note_waiting(recorder: Recorder, connection: BaseDatabaseWrapper, raw: CapturedCommitHook) -> None:
    try:
        waiting: Waiting = connection.__dict__.setdefault(_WAITING, [])
        waiting.append((connection.run_on_commit[-1][0], raw))
    except Exception:
        recorder.lost("on_commit")


# Run, or discarded


class _RunningHooks(list[Any]):
    """The functions that Django is about to run, and takes out one by one."""

    def __init__(self, hooks: list[Any], waiting: Waiting) -> None:
        super().__init__(hooks)
        self.waiting = waiting

    def pop(self, *args: Any) -> Any:
        hook = super().pop(*args)
        _end(self.waiting, hook, HookOutcome.RAN, perf_counter_ns())
        return hook


def _wrap_running(original: Method) -> Method:
    @wraps(original)
    def run_and_clear_commit_hooks(self: BaseDatabaseWrapper) -> Any:
        waiting: Waiting | None = self.__dict__.get(_WAITING)
        if not waiting or self.in_atomic_block:
            return original(self)
        del self.__dict__[_WAITING]  # what they give to on_commit() themselves waits there
        self.run_on_commit = _RunningHooks(self.run_on_commit, waiting)
        try:
            return original(self)
        finally:
            _discard(waiting)  # what follows one that raised never runs

    return run_and_clear_commit_hooks


def _wrap_discarding(original: Method) -> Method:
    @wraps(original)
    def method(self: BaseDatabaseWrapper, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(self, *args, **kwargs)
        finally:
            if self.__dict__.get(_WAITING):
                _discard_missing(self)

    return method


def _discard_missing(connection: BaseDatabaseWrapper) -> None:
    """Note as discarded what Django no longer keeps, unless it has run."""
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


def _wrap_capture(original: Method) -> Method:
    """
    Wrap ``captureOnCommitCallbacks()``, which with ``execute`` runs what waits inside of ``TestCase``.

    It leaves the functions in the list of the connection, and yields a list of those that it begins to run.
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
