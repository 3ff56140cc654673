"""
Attributes of other people's classes, replaced for as long as somebody needs them.

Each replacement has a gate of its own (a ``ContextVar``) and lets through whoever it does not
concern: other threads of the process notice nothing.
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
    Replacements that are in place while at least one holder needs them.

    ``replacements``: where, and a function from what is there now to what replaces it. What somebody
    else has put there meanwhile is left alone afterwards; it may still call the replacement.
    """

    def __init__(self, *replacements: tuple[Target, Replacement]) -> None:
        self.replacements = replacements
        self._holders = 0
        self._lock = threading.Lock()
        self._undo: list[Callable[[], None]] = []

    def hold(self) -> None:
        """Put the replacements in place, if they are not yet."""
        with self._lock:
            self._holders += 1
            if self._holders == 1:
                self._undo = [_replace(*place(), make) for place, make in self.replacements]

    def release(self) -> None:
        """The last to go puts everything back."""
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
    """Replace the attribute ``name`` of ``owner``; the function returned puts it back."""
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
