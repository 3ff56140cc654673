"""
Write what a project made up (answers, hints, parameters, keys, messages) as a document may keep it.

What is captured of an object is a scalar, a tuple, a ``CapturedInstance`` or a ``CapturedType``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

import msgspec

from dbroute_panel import records
from dbroute_panel.masking import MASK
from dbroute_panel.masking.secrets import (
    SessionTables,
    is_password_hash,
    mask_hashes,
    mask_tokens,
    may_keep_key,
)


class CapturedInstance(msgspec.Struct, frozen=True, gc=False):
    """A model instance as it was; ``pk`` is None or a tuple of the values of its key."""

    model: str
    pk: tuple[Any, ...] | None
    state_db: str | None
    adding: bool
    origin_id: int | None


class CapturedType(msgspec.Struct, frozen=True, gc=False):
    """An object of which only the dotted path of the type is kept."""

    path: str


class ValueMasker:
    """
    Masks the values of one trace.

    Args:
        params: Whether values are kept. If not, neither are messages, nor primary keys that tell something.
        secrets: What is masked wherever it turns up.
        sessions: Tells the models whose primary key is that of a session.
    """

    def __init__(self, *, params: bool, secrets: Iterable[str], sessions: SessionTables) -> None:
        self.params = params
        self.secrets = tuple(secrets)
        self.sessions = sessions
        self.masked_texts: dict[str, str] = {}

    def mask_mapping(self, captured: tuple[Any, ...]) -> dict[str, Any]:
        """Return what a tuple of names and values in turn holds."""
        pairs = zip(captured[::2], captured[1::2], strict=True)
        return {escape_surrogates(name): self.mask_value(value) for name, value in pairs}

    def mask_value(self, captured: Any) -> Any:
        """Return an answer, hint or argument as an InstanceRef, a TypeRef or a JSON scalar."""
        if captured is None:
            return None
        if type(captured) is str:
            if (known := self.masked_texts.get(captured)) is None:  # mostly aliases
                known = self.masked_texts[captured] = self.mask_text(captured)
            return known
        if type(captured) is CapturedInstance:
            return self.mask_instance(captured)
        if type(captured) is CapturedType:
            return records.TypeRef(type=escape_surrogates(captured.path))
        if type(captured) is float and not math.isfinite(captured):  # JSON has no infinity, and no NaN
            return str(captured)
        if type(captured) is int and not -(2**63) <= captured < 2**64:
            return format_integer(captured)
        return captured

    def mask_instance(self, captured: CapturedInstance) -> records.InstanceRef:
        return records.InstanceRef(
            model=escape_surrogates(captured.model),
            pk=self.mask_key(captured),
            state_db=escape_name(captured.state_db),
            adding=captured.adding,
            origin_id=captured.origin_id,
        )

    def mask_key(self, captured: CapturedInstance) -> str | None:
        if captured.pk is None:
            return None
        if captured.model in self.sessions.keyed_models:
            return MASK
        if not self.params and not all(map(may_keep_key, captured.pk)):
            return None
        parts = [self.mask_parameter(part) for part in captured.pk]
        return parts[0] if len(parts) == 1 else json.dumps(parts)

    def mask_error(self, message: str) -> str:
        """Return ``Class: message``; the class alone where no values are kept."""
        return self.mask_text(message) if self.params else escape_surrogates(message.partition(":")[0])

    def mask_parameters(
        self, captured: Any, many: bool, secret: bool
    ) -> tuple[Any, ...] | dict[str, Any] | None:
        """Return the parameters of a statement; of ``executemany()`` (``many``) those of each row."""
        if captured is None:
            return None
        if many:
            rows = (self.mask_parameters(row, many=False, secret=secret) for row in captured)
            return tuple(list(row) if type(row) is tuple else row for row in rows)
        if isinstance(captured, dict):
            return {
                escape_surrogates(name): MASK if secret else self.mask_parameter(value)
                for name, value in captured.items()
            }
        return (MASK,) * len(captured) if secret else tuple(map(self.mask_parameter, captured))

    def format_harmless(self, captured: tuple[Any, ...]) -> tuple[str, ...]:
        """Return parameters that are all of ``HARMLESS_TYPES``, as texts."""
        try:
            return tuple(map(str, captured))
        except ValueError:  # an integer of thousands of digits
            return tuple(map(self.mask_parameter, captured))

    def mask_parameter(self, value: Any) -> str:
        """Return one parameter as text: bytes and lists as Python writes them, all else as ``str()`` does."""
        if type(value) is int:
            return format_integer(value)
        if type(value) is str:
            return self.mask_text(value)
        if type(value) is tuple:
            return f"[{', '.join(map(self.mask_parameter, value))}]"
        if type(value) is CapturedType:
            return f"<{value.path}>"
        if type(value) is bytes:
            return self.mask_text(repr(value))
        return str(value)

    def mask_text(self, text: str) -> str:
        # Most texts need none of what follows: all that it looks for has one of these marks.
        if "$" in text or "-" in text or len(text) == 32 or not text.isascii():
            if is_password_hash(text):
                return MASK
            text = mask_tokens(mask_hashes(escape_surrogates(text)))
        for secret in self.secrets:
            text = text.replace(secret, MASK)
        return text


class EscapedNames(dict[str | None, Any]):
    """Remembers what ``escape_name()`` returned for a name."""

    def __missing__(self, name: str | None) -> str | None:
        known = self[name] = escape_name(name)
        return known


def escape_surrogates(text: str) -> str:
    """Return ``text`` with its lone surrogates escaped, which UTF-8 cannot hold."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def escape_name(text: str | None) -> str | None:
    """Return ``escape_surrogates(text)``, or None for None."""
    return None if text is None else escape_surrogates(text)


def format_integer(number: int) -> str:
    """Return the decimal digits of an integer; hexadecimal ones where Python refuses to make so many."""
    try:
        return str(number)
    except ValueError:
        return hex(number)
