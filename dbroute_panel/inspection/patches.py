"""
Replace attributes of Django's and Python's classes for a limited time.

Each replacement checks a ``ContextVar`` and calls the original where that is not set, so that other threads
of the process are not affected.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

Target = Callable[[], tuple[type, str]]
Replacement = Callable[[Any], Any]


class Patches:
    """
    Replacements that stay in place while at least one holder needs them.

    An attribute that other code has replaced meanwhile is left alone on release; that code may still call
    our replacement.

    Args:
        replacements: Pairs of a function that returns the class and attribute name, and a function from
            the original attribute to its replacement.
    """

    def __init__(self, *replacements: tuple[Target, Replacement]) -> None:
        self.replacements = replacements
        self._holders = 0
        self._lock = threading.Lock()
        self._undo: list[Callable[[], None]] = []

    def hold(self) -> None:
        """Put the replacements in place unless they are there."""
        with self._lock:
            self._holders += 1
            if self._holders == 1:
                self._undo = [_replace(*target(), make) for target, make in self.replacements]

    def release(self) -> None:
        """Restore the originals when the last holder releases."""
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                for undo in reversed(self._undo):
                    undo()

    def __enter__(self) -> None:
        self.hold()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.release()


def _replace(owner: type, name: str, make: Replacement) -> Callable[[], None]:
    """Replace the attribute ``name`` of ``owner``, and return a function that restores it."""
    own = name in owner.__dict__
    before = owner.__dict__[name] if own else getattr(owner, name)
    replacement = make(before)
    setattr(owner, name, replacement)

    def undo() -> None:
        if owner.__dict__.get(name) is not replacement:
            return
        if own:
            setattr(owner, name, before)
        else:
            delattr(owner, name)

    return undo
