"""
What of the user's values may be kept, and how is it written?

Answers, hints, parameters, keys, messages: whatever a document has that somebody else made up passes here.
"""

from __future__ import annotations

import json
import math
from typing import Any

from dbroute_panel import records
from dbroute_panel.recording.captured import Facts
from dbroute_panel.recording.recorder import Recorder
from dbroute_panel.recording.secrets import (
    MASK,
    Sessions,
    is_password_hash,
    may_keep_key,
    without_hashes,
    without_tokens,
)
from dbroute_panel.recording.snapshots import Instance, Typed


class Values:
    """
    Writes the values of one recorder's trace.

    Where it has no ``params``, no message and no key that tells is kept; its ``secrets`` are masked wherever
    they turn up.
    """

    def __init__(self, recorder: Recorder, sessions: Sessions) -> None:
        self.recorder = recorder
        self.sessions = sessions
        self.cleaned: dict[str, str] = {}

    def each(self, raw: Facts) -> dict[str, Any]:
        return {text_of(name): self.one(value) for name, value in zip(raw[::2], raw[1::2], strict=True)}

    def one(self, raw: Any) -> Any:
        """An answer, hint or argument: an InstanceRef, a TypeRef or a JSON scalar."""
        if raw is None:
            return None
        if type(raw) is str:
            if (known := self.cleaned.get(raw)) is None:  # mostly aliases
                known = self.cleaned[raw] = self.clean(raw)
            return known
        if type(raw) is Instance:
            return self.instance(raw)
        if type(raw) is Typed:
            return records.TypeRef(type=text_of(raw.path))
        if type(raw) is float and not math.isfinite(raw):  # JSON has no infinity, and no NaN
            return str(raw)
        return whole(raw) if type(raw) is int and not -(2**63) <= raw < 2**64 else raw

    def instance(self, raw: Instance) -> records.InstanceRef:
        return records.InstanceRef(
            model=text_of(raw.model),
            pk=self.key(raw),
            state_db=name_of(raw.state_db),
            adding=raw.adding,
            origin_id=raw.origin_id,
        )

    def key(self, raw: Instance) -> str | None:
        if raw.pk is None:
            return None
        if raw.model in self.sessions.keyed:
            return MASK
        if not self.recorder.params and not all(map(may_keep_key, raw.pk)):
            return None
        parts = [self.parameter(part) for part in raw.pk]
        return parts[0] if len(parts) == 1 else json.dumps(parts)

    def error(self, message: str) -> str:
        """``Class: message``; the class alone where no values are kept."""
        return self.clean(message) if self.recorder.params else text_of(message.partition(":")[0])

    def parameters(self, raw: Any, many: bool, secret: bool) -> tuple[Any, ...] | dict[str, Any] | None:
        if raw is None:
            return None
        if many:
            rows = (self.parameters(row, many=False, secret=secret) for row in raw)
            return tuple(list(row) if type(row) is tuple else row for row in rows)
        if isinstance(raw, dict):
            return {text_of(name): MASK if secret else self.parameter(value) for name, value in raw.items()}
        return (MASK,) * len(raw) if secret else tuple(map(self.parameter, raw))

    def numbers(self, raw: tuple[Any, ...]) -> tuple[str, ...]:
        """Parameters of the types ``TEXTLESS`` alone."""
        try:
            return tuple(map(str, raw))
        except ValueError:  # an integer of thousands of digits
            return tuple(map(self.parameter, raw))

    def parameter(self, value: Any) -> str:
        """One parameter as text: what it would be in Python for bytes and lists, else its plain string."""
        if type(value) is int:
            return whole(value)
        if type(value) is str:
            return self.clean(value)
        if type(value) is tuple:
            return f"[{', '.join(map(self.parameter, value))}]"
        if type(value) is Typed:
            return f"<{value.path}>"
        if type(value) is bytes:
            return self.clean(repr(value))
        return str(value)

    def clean(self, text: str) -> str:
        """A text of the user's as it may be kept."""
        # Most texts need none of what follows: all that it looks for has one of these marks.
        if "$" in text or "-" in text or len(text) == 32 or not text.isascii():
            if is_password_hash(text):
                return MASK
            text = without_tokens(without_hashes(text_of(text)))
        for secret in self.recorder.secrets:
            text = text.replace(secret, MASK)
        return text


class Names(dict[str | None, Any]):
    """What ``name_of()`` has made of names, each made once."""

    def __missing__(self, name: str | None) -> str | None:
        known = self[name] = name_of(name)
        return known


def text_of(text: str) -> str:
    """``text`` as UTF-8 can hold it: lone surrogates are escaped."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def name_of(text: str | None) -> str | None:
    return None if text is None else text_of(text)


def whole(number: int) -> str:
    """A number of any length. Python makes decimal digits of it only up to some thousands."""
    try:
        return str(number)
    except ValueError:
        return hex(number)
