"""
What does a streaming response do while it is sent, and when is it over?

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

from dbroute_panel.recording.recorder import Recorder, resumed

LONGEST_CLOSING = 5.0
"""So many seconds a trace waits for generators to be closed, whose client has gone."""


class Ending:
    """
    When the trace of a streaming response is over: response closed, and nothing of its content running.

    ``deliver`` is called then; it never raises, and may be called again. The content is not known here:
    this lives until the response is collected, to which the content may lead.
    """

    def __init__(self, deliver: Callable[[], None]) -> None:
        self.deliver = deliver
        self._lock = threading.Lock()
        self._under_way = False
        self._overdue = False

    def wait_for_content(self) -> None:
        self._under_way = True

    def response_is_over(self) -> bool:
        """The response is closed, or nobody has it any longer. Whether that was the end."""
        with self._lock:
            self._overdue = waits = self._under_way
        if not waits:
            self.deliver()
        return not waits

    def response_is_lost(self) -> None:
        """Nobody will close the response."""
        self._overdue = True

    def content_is_over(self) -> bool:
        """Nothing of the content is left to run. Whether the trace has waited for that."""
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
        closers[:] = [functools.partial(self._call, closer) for closer in closers]
        if getattr(response, "file_to_stream", None) is not None:
            return
        before = len(closers)
        # Not its streaming_content: that is one more generator, which does not close what it goes through.
        self._content.append(streaming._iterator)
        streaming.streaming_content = self._async_steps() if streaming.is_async else self._steps()
        del closers[before:]  # closing our own generator does nothing that the content's own closer does not

    def close(self) -> None:
        """The response is closed. What is left of an async generator is nobody's any longer."""
        if self.ending.response_is_over() or self._loop is None:
            return
        try:  # in the context of the request, as all that its generator does
            self._loop.call_soon_threadsafe(self._close_soon)
        except RuntimeError:  # the loop is over, and the content with it
            self.ending.deliver()

    def _close_soon(self) -> None:
        self._closing = asyncio.ensure_future(self._close_content())

    async def _close_content(self) -> None:
        await self._let_go()
        self.ending.content_is_over()
        self._deliver_on_a_thread()

    def _call(self, function: Callable[[], Any]) -> Any:
        with resumed(self.recorder):
            return function()

    def _steps(self) -> Iterator[Any]:
        if self.under_asgi:
            self.ending.wait_for_content()
        try:
            while True:
                with resumed(self.recorder):
                    try:
                        part = next(self._content[0])
                    except StopIteration:
                        return
                yield part
        except Exception:
            if self.under_asgi:
                self.ending.response_is_lost()
            raise
        finally:
            if self.ending.content_is_over():
                self.ending.deliver()

    async def _async_steps(self) -> AsyncIterator[Any]:
        self._loop = asyncio.get_running_loop()
        self.ending.wait_for_content()
        try:
            while self._content:
                with resumed(self.recorder):
                    try:
                        part = await anext(self._content[0])
                    except StopAsyncIteration:
                        return
                yield part
        except GeneratorExit:
            await self._let_go()
            raise
        except Exception:
            if self.under_asgi:
                self.ending.response_is_lost()
            raise
        finally:
            if self.ending.content_is_over():
                self._deliver_on_a_thread()

    def _deliver_on_a_thread(self) -> None:
        """A store may have to wait for its file or its server, and the loop has other requests to serve."""
        try:
            asyncio.get_running_loop().run_in_executor(None, self.ending.deliver)
        except RuntimeError:  # the server stops
            self.ending.deliver()

    async def _let_go(self) -> None:
        """
        Drop the content before its end, and wait until it has run its ``finally``, and what is in it its own.

        When nobody has an async generator any longer, the loop closes it: in a task of its own, in a copy of
        the context in which it was dropped. So there is a lease in that context, and when the lease is gone
        the last of these tasks is done. A generator that somebody else has goes on without us.

        The closing of the response and that of our own generator both come here, in any order: the first
        drops the content, and both wait for its end.
        """
        if self._content_closed is None:
            loop, closed = asyncio.get_running_loop(), asyncio.Event()
            self._content_closed = closed
            lease = _Lease()
            weakref.finalize(lease, _tell, loop, closed).atexit = False
            token = _lease.set(lease)
            with resumed(self.recorder):
                self._content.clear()
            _lease.reset(token)
            del lease
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_CLOSING):
                await self._content_closed.wait()


class _Lease:
    """Something in a context, to be told when the last copy of the context is gone."""


_lease: ContextVar[_Lease] = ContextVar("dbroute_panel_lease")


def _tell(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(event.set)
