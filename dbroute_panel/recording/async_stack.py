"""
Find what awaits this thread: the user's line behind an ``await Book.objects.aget()``.

The ORM's async methods run on a thread, whose own stack knows nothing of the coroutine that waits
for it. asgiref keeps the work, a ``functools.partial``, in a local variable of that coroutine: the
frame that has that very object is the one. Its coroutine may not be suspended yet when the thread
looks, so that it is searched for on the stacks of all threads first, then in the suspended tasks.
Where the ORM's coroutine is a task of its own (``asyncio.gather(Book.objects.aget(), ...)``), we look
for the task that waits for that one.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from types import FrameType
from typing import Any, TypeVar

from asgiref.sync import SyncToAsync

from dbroute_panel.recording.frame_kinds import get_code

Found = TypeVar("Found")

MAX_TASKS = 1000
"""Tasks that are looked at. A query of a busier server than that may lack its callsite."""

_CALL = get_code(SyncToAsync.__call__)
_ASYNC = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR | inspect.CO_GENERATOR

_latest = threading.local()
"""For each thread, the work it did last and what was found: a decision and its query share it."""


def find_waiting(
    work: functools.partial[Any],
    loop: asyncio.AbstractEventLoop,
    line: Callable[[FrameType], Found | None],
    otherwise: Found | None = None,
) -> Found | None:
    """Return the first result of ``line`` for the frames that await ``work``, from the innermost on."""
    known = getattr(_latest, "found", None)
    if known is not None and known[0]() is work:
        return known[1]  # type: ignore[no-any-return]
    try:
        found = _search(work, loop, line)
    except Exception:  # asyncio's internals may change: rather no callsite than no record
        found = None
    if found is None:
        found = otherwise
    _latest.found = (weakref.ref(work), found)
    return found


def _search(
    work: object, loop: asyncio.AbstractEventLoop, line: Callable[[FrameType], Found | None]
) -> Found | None:
    frames = list(iter_running(work))
    if (found := _innermost(frames, line)) is not None:
        return found
    chains = {task: list(iter_suspended(task)) for task in islice(asyncio.all_tasks(loop), MAX_TASKS)}
    outermost = frames[-1:]
    task = next((t for t, c in chains.items() if c and (_holds(c[-1], work) or c[:1] == outermost)), None)
    if task is None:
        return None
    seen: set[asyncio.Task[Any]] = set()
    while (found := _innermost(reversed(chains[task]), line)) is None:
        seen.add(task)
        waiting = next((other for other in chains if other not in seen and _waits_for(other, task)), None)
        if waiting is None:
            return None
        task = waiting
    return found


def _innermost(frames: Iterable[FrameType], line: Callable[[FrameType], Found | None]) -> Found | None:
    return next((found for frame in frames if (found := line(frame)) is not None), None)


def _holds(frame: FrameType, work: object) -> bool:
    return frame.f_code is _CALL and frame.f_locals.get("child") is work


def iter_running(work: object) -> Iterator[FrameType]:
    """Yield the frames of the coroutines that are about to await ``work``, innermost first; or none."""
    for innermost in sys._current_frames().values():
        frame: FrameType | None = innermost
        while frame is not None and not _holds(frame, work):
            frame = frame.f_back
        while frame is not None and frame.f_code.co_flags & _ASYNC:  # up to the task that the loop runs
            yield frame
            frame = frame.f_back


def iter_suspended(task: asyncio.Task[Any]) -> Iterator[FrameType]:
    """Yield the frames of coroutines and async generators that a suspended task is in, outermost first."""
    awaited: Any = task.get_coro()
    while awaited is not None:
        for prefix in ("cr", "ag", "gi"):
            if (frame := getattr(awaited, f"{prefix}_frame", None)) is not None:
                yield frame
                awaited = getattr(awaited, "gi_yieldfrom" if prefix == "gi" else f"{prefix}_await")
                break
        else:
            # "async for" awaits an object that does not tell its generator; the garbage collector knows it.
            awaited = next((it for it in gc.get_referents(awaited) if hasattr(it, "ag_frame")), None)


def _waits_for(other: asyncio.Task[Any], task: asyncio.Task[Any]) -> bool:
    """Return whether ``other`` awaits ``task``, also through gather(), wait(), shield() or a TaskGroup."""
    waited = getattr(other, "_fut_waiter", None)
    return waited is task or any(
        told is other or (waited is not None and told is waited)
        for callback, *_ in getattr(task, "_callbacks", None) or ()
        for told in _iter_woken(callback)
    )


def _iter_woken(callback: Any) -> Iterator[Any]:
    """Yield the futures and tasks that asyncio's ``callback`` wakes up when a task is done."""
    if isinstance(callback, functools.partial):
        yield from callback.args
    for cell in getattr(callback, "__closure__", None) or ():
        yield cell.cell_contents
    yield getattr(getattr(callback, "__self__", None), "_parent_task", None)
