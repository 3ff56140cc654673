"""
Call routers on a throwaway thread to contain their side effects.

A router may pin its context to the primary, count in a thread-local or open a connection. A page of the
admin asks on a new thread in a copied context, and closes its connections afterwards. A replay asks in an
empty context: what middleware has pinned for the page's own request was not pinned during the recording.
"""

from __future__ import annotations

import contextvars
import ctypes
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from django.db import connections
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _

from dbroute_panel.recording.recorder import active

Result = TypeVar("Result")

TIMEOUT_SECONDS: Final = 5.0
"""Time limit for the routers to answer a page."""

POLL_SECONDS: Final = 0.05
"""Interval at which a wait without a time limit checks for exceptions in this thread."""


class IsolationInterrupt(BaseException):
    """Raised in the asking thread to stop it. No ``Exception``, so that routers do not catch it."""


class RouterTimeoutError(Exception):
    """The routers did not answer within the time limit."""


def run_isolated(function: Callable[[], Result], *, seconds: float | None = TIMEOUT_SECONDS) -> Result:
    """
    Return or raise what ``function()`` does, run on a new thread in a copied context.

    After ``seconds`` the thread is stopped (a Python loop at once, a call into C when it returns). None sets
    no limit. An exception that ends the wait stops the thread as well.

    Raises:
        RouterTimeoutError: The time limit was reached.
    """
    outcome: list[Any] = []

    def run() -> None:
        try:
            active.set(None)
            outcome.extend((True, function()))
        except BaseException as error:
            outcome.extend((False, error))
        finally:
            connections.close_all()

    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(run,), name="dbroute_panel asking", daemon=True
    )
    thread.start()
    try:
        thread.join(POLL_SECONDS if seconds is None else seconds)
        while seconds is None and thread.is_alive():
            thread.join(POLL_SECONDS)
    finally:
        if thread.is_alive():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(thread.ident or 0), ctypes.py_object(IsolationInterrupt)
            )
            thread.join(0.2)
    if seconds is not None and (not outcome or isinstance(outcome[1], IsolationInterrupt)):
        raise RouterTimeoutError(
            _("The routers did not answer within %(seconds)g seconds; asking was stopped.")
            % {"seconds": seconds}
        )
    answered, result = outcome
    if not answered:
        raise result
    return result  # type: ignore[no-any-return]


def run_in_empty_context(function: Callable[[], Result]) -> Result:
    """Return or raise what ``function()`` does, run in an empty context with the language of this one."""
    language = get_language()

    def run() -> Result:
        with override(language):
            return function()

    return contextvars.Context().run(run)
