"""
Record what a streaming response does while it is sent, and tell when it is over.

The recorder is active only around each step of the content and around what runs at its closing, so that
the next request on the thread cannot join. A file is left alone: the server may send it by itself.

A trace ends when its response is closed. Under ASGI that can be too early or never: when the client has gone,
Django closes the response before an async generator runs its ``finally``, and while a thread still reads a
sync one; and a response whose content raised is not closed at all (``ASGIHandler.handle()``).
"""

from __future__ import annotations

import asyncio
import functools
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from django.http.response import HttpResponseBase

from dbroute_panel.recording.recorder import Recorder, use_recorder

CLOSING_TIMEOUT_SECONDS = 5.0
"""How long a trace waits until generators whose client has gone are closed."""


class Ending:
    """
    Waits until a streaming response is closed and nothing of its content runs, then calls ``deliver``.

    ``deliver`` never raises and may be called again. No content is kept here, which may refer to the
    response: this object lives until the response is collected.
    """

    def __init__(self, deliver: Callable[[], None]) -> None:
        self.deliver = deliver
        self._lock = threading.Lock()
        self._under_way = False
        self._overdue = False

    def wait_for_content(self) -> None:
        """Note that content has begun to run."""
        self._under_way = True

    def end_response(self) -> bool:
        """Note that the response is closed or collected; return whether that was the end."""
        with self._lock:
            self._overdue = waits = self._under_way
        if not waits:
            self.deliver()
        return not waits

    def lose_response(self) -> None:
        """Note that the response will not be closed."""
        self._overdue = True

    def end_content(self) -> bool:
        """Note that no content is left to run; return whether the trace has waited for that."""
        with self._lock:
            self._under_way = False
            return self._overdue


class Stream:
    """The content of one streaming response."""

    def __init__(self, recorder: Recorder, ending: Ending, *, under_asgi: bool) -> None:
        self.recorder = recorder
        self.ending = ending
        self.under_asgi = under_asgi
        self._content: list[Any] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: asyncio.Future[None] | None = None
        self._content_closed: asyncio.Event | None = None

    def watch(self, response: HttpResponseBase) -> None:
        """Record what ``response`` does while it is sent and when it is closed."""
        streaming: Any = response
        closers: list[Callable[[], Any]] = streaming._resource_closers
        closers[:] = [functools.partial(self._call_recorded, closer) for closer in closers]
        if getattr(response, "file_to_stream", None) is not None:
            return
        before = len(closers)
        # Not its streaming_content: that is one more generator, which does not close what it iterates over.
        self._content.append(streaming._iterator)
        streaming.streaming_content = self._iterate_async() if streaming.is_async else self._iterate()
        del closers[before:]  # closing our generator does nothing beyond the content's own closer

    def close(self) -> None:
        """Note that the response is closed, and let the loop close what is left of an async generator."""
        if self.ending.end_response() or self._loop is None:
            return
        try:  # in the context of the request, as all that its generator does
            self._loop.call_soon_threadsafe(self._close_soon)
        except RuntimeError:  # the loop is over, and the content with it
            self.ending.deliver()

    def _close_soon(self) -> None:
        self._closing = asyncio.ensure_future(self._close_content())

    async def _close_content(self) -> None:
        await self._drop_content()
        self.ending.end_content()
        self._deliver_on_a_thread()

    def _call_recorded(self, function: Callable[[], Any]) -> Any:
        with use_recorder(self.recorder):
            return function()

    def _iterate(self) -> Iterator[Any]:
        if self.under_asgi:
            self.ending.wait_for_content()
        try:
            while True:
                with use_recorder(self.recorder):
                    try:
                        part = next(self._content[0])
                    except StopIteration:
                        return
                yield part
        except Exception:
            if self.under_asgi:
                self.ending.lose_response()
            raise
        finally:
            if self.ending.end_content():
                self.ending.deliver()

    async def _iterate_async(self) -> AsyncIterator[Any]:
        self._loop = asyncio.get_running_loop()
        self.ending.wait_for_content()
        try:
            while self._content:
                with use_recorder(self.recorder):
                    try:
                        part = await anext(self._content[0])
                    except StopAsyncIteration:
                        return
                yield part
        except GeneratorExit:
            await self._drop_content()
            raise
        except Exception:
            if self.under_asgi:
                self.ending.lose_response()
            raise
        finally:
            if self.ending.end_content():
                self._deliver_on_a_thread()

    def _deliver_on_a_thread(self) -> None:
        """Deliver on a thread: a store may have to wait, and the loop has other requests to serve."""
        try:
            asyncio.get_running_loop().run_in_executor(None, self.ending.deliver)
        except RuntimeError:  # the server stops
            self.ending.deliver()

    async def _drop_content(self) -> None:
        """
        Drop the content early, and wait until it and what it iterates over have run their ``finally``.

        An async generator without references is closed by the loop, in a new task and a copy of the context
        in which it was dropped. That context holds a lease, so when the lease is collected the last of these
        tasks is done. A generator that other code refers to goes on without us.

        The closing of the response and of our own generator both come here, in any order: the first drops the
        content, and both wait for its end.
        """
        if self._content_closed is None:
            loop, closed = asyncio.get_running_loop(), asyncio.Event()
            self._content_closed = closed
            lease = _Lease()
            weakref.finalize(lease, _set_event, loop, closed).atexit = False
            token = _lease.set(lease)
            with use_recorder(self.recorder):
                self._content.clear()
            _lease.reset(token)
            del lease
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_TIMEOUT_SECONDS):
                await self._content_closed.wait()


class _Lease:
    """An object in a context, which is collected with the last copy of the context."""


_lease: ContextVar[_Lease] = ContextVar("dbroute_panel_lease")


def _set_event(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(event.set)
