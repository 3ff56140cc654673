"""
Capture plain facts of the objects that pass by, at once and without running any code of theirs.

``repr()``, a field access or ``isinstance()`` on a user's object can run a query, evaluate a lazy object or
ask the router again. What is read is the type, the instance's own ``__dict__`` and its ``_state``. What is
kept are scalars, tuples of them and structs of these, so that a trace keeps no model, queryset or connection
alive and the garbage collector need not look into it.
"""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Mapping
from marshal import loads
from sys import getsizeof
from typing import Any

from django.db.models import Model
from django.utils.functional import LazyObject, empty

from dbroute_panel.environment import dotted_path
from dbroute_panel.masking.values import CapturedInstance, CapturedType

SCALAR_TYPES = frozenset({str, int, float, bool, type(None)})
"""Exact types that JSON holds as they are."""

PLAIN_TYPES = SCALAR_TYPES | {
    bytes,
    decimal.Decimal,
    dt.date,
    dt.datetime,
    dt.time,
    dt.timedelta,
    uuid.UUID,
}
"""Exact types whose ``str()`` runs no code of the user's."""

MAX_TEXT_LENGTH = 2000
"""Characters that are kept of a longer text."""

MAX_ROWS = 10
"""Rows of parameters that are kept of an ``executemany()``."""

_SMALL_INTEGER_LIMIT = 1 << 63
"""Integers below take at most 36 bytes."""


def model_label(model: Any) -> str | None:
    """Return ``_meta.label``, also of what only looks like a model (the database cache's CacheEntry)."""
    meta = getattr(model, "_meta", None)
    if meta is None:
        return None
    try:
        return str(meta.label)
    except AttributeError:
        return f"{meta.app_label}.{meta.object_name}"


def capture_scalar(value: Any) -> Any:
    """Return an answer as a JSON scalar, never of a subclass; of anything else its ``CapturedType``."""
    cls = type(value)
    if cls in SCALAR_TYPES or cls is CapturedType:
        return value
    if issubclass(cls, str):
        return str.__str__(value)
    return CapturedType(dotted_path(value))


def capture_hint(value: Any, answers: Mapping[int, int]) -> Any:
    """Return a hint or argument as a ``CapturedInstance``, a scalar or a ``CapturedType``."""
    if type(value) is str:
        return shorten(value)
    if type(value) in SCALAR_TYPES:
        return value
    return capture_instance(value, answers) or capture_scalar(value)


def capture_instance(value: Any, answers: Mapping[int, int]) -> CapturedInstance | None:
    """
    Return the facts about a model instance, or None where ``value`` is no instance.

    Args:
        value: Any object.
        answers: The ids of the trace's decisions by the ``id()`` of the alias that each returned.
    """
    cls = type(value)
    if issubclass(cls, LazyObject):  # request.user: look inside, but never make it load
        value = value.__dict__.get("_wrapped", empty)
        cls = type(value)
    if not issubclass(cls, Model):
        return None
    attributes = value.__dict__
    state = attributes.get("_state")
    db = state.db if state is not None else None
    return CapturedInstance(
        cls._meta.label,
        _key(cls, attributes),
        None if db is None else str.__str__(db) if issubclass(type(db), str) else dotted_path(db),
        bool(state.adding) if state is not None else True,
        None if db is None else answers.get(id(db)),
    )


def _key(model: type[Model], attributes: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """Return the primary key from ``__dict__``: several values where it is composite; None where unset."""
    fields = getattr(model._meta, "pk_fields", None) or (model._meta.pk,)
    key = tuple(_parameter(attributes.get(field.attname)) for field in fields if field is not None)
    if not key or any(part is None or type(part) is CapturedType for part in key):
        return None
    return key


def capture_parameters(params: Any, many: bool) -> Any:
    """
    Return a copy of SQL parameters: a tuple, a dict, or of ``executemany()`` (``many``) a tuple of these.

    None stands for an iterator of rows, which must not be consumed. Parameters that are marshalled already
    are decoded.
    """
    if type(params) is bytes:
        params = loads(params)  # noqa: S302 - dumped by this process, never stored
    if many:
        if not isinstance(params, (list, tuple)):
            return None
        return tuple(capture_parameters(row, many=False) for row in params[:MAX_ROWS])
    if type(params) is tuple and PLAIN_TYPES.issuperset(map(type, params)):
        return params
    if isinstance(params, Mapping):
        return {str(name): _parameter(value) for name, value in params.items()}
    if isinstance(params, (list, tuple)):
        return tuple(map(_parameter, params))
    return None


def _parameter(value: Any) -> Any:
    cls = type(value)
    if cls in PLAIN_TYPES:
        return value
    if cls in (list, tuple):
        return tuple(map(_parameter, value))
    if cls in (bytearray, memoryview):  # these can change, and a view locks its object
        return bytes(value)
    if issubclass(cls, str):  # SafeString, TextChoices and their like: without their own __str__
        return str.__str__(value)
    for number in (int, float):
        if issubclass(cls, number):
            return number.__pos__(value)
    return CapturedType(dotted_path(value))


def estimate_bytes(kept: Any) -> int:
    """Return roughly how many bytes a statement's text or its kept parameters take."""
    if type(kept) is tuple:
        size = 0
        for value in kept:
            is_small = type(value) is int and -_SMALL_INTEGER_LIMIT < value < _SMALL_INTEGER_LIMIT
            size += 32 if is_small else estimate_bytes(value)
        return size
    if type(kept) is dict:
        return sum(map(estimate_bytes, kept.values()))
    return getsizeof(kept)


def shorten(text: str, length: int | None = None) -> str:
    """
    Return a text of at most ``MAX_TEXT_LENGTH`` characters; the beginning of a longer one, with its length.

    Args:
        text: The text.
        length: The length of the whole, where ``text`` is only the beginning of it.
    """
    if length is None and len(text) <= MAX_TEXT_LENGTH:
        return text
    return f"{text[:MAX_TEXT_LENGTH]}… ({length or len(text)} characters)"
