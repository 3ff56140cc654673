"""
Asking aside: on a thread of its own, so that the routers' side effects stay there.

A router may pin its context to the primary, count in a thread-local or open a connection. A page
of the admin asks on a fresh thread in a copied context; its connections are closed afterwards. A replay
asks in an empty context: what middleware has pinned for the page's own request was not pinned then.
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
"""How long the routers may take to answer a page."""


POLL_SECONDS: Final = 0.05
"""How long a wait without an end takes until this thread can be stopped, too."""


class IsolationInterrupt(BaseException):
    """Raised on the asking thread when its time is up; no ``Exception``, lest a router catch it."""


class RouterTimeoutError(Exception):
    """The routers did not answer in time."""


def run_isolated(function: Callable[[], Result], *, seconds: float | None = TIMEOUT_SECONDS) -> Result:
    """
    What ``function()`` returns or raises, run on a fresh thread in a copied context.

    After ``seconds`` it is stopped (a Python loop at once, a call into C when it comes back) and
    ``TimeUpError`` is raised; None waits for as long as it takes. What stops the wait stops the thread.
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
    """What ``function()`` returns or raises, run in an empty context, but in the language of this one."""
    language = get_language()

    def run() -> Result:
        with override(language):
            return function()

    return contextvars.Context().run(run)
