"""
What is kept of the objects that pass by: plain facts, taken at once, without asking anything back.

Never ``repr()``, a field access or ``isinstance()`` on the user's objects: each can run a query,
evaluate a lazy object or ask the router again. What is read is the type, the instance's own
``__dict__`` and its ``_state``. Raw forms are scalars and tuples of them, so that no model, queryset or
connection is kept alive by a trace, and structs of these, which the garbage collector need not know.
"""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Mapping
from marshal import loads
from sys import getsizeof
from types import FunctionType, ModuleType, WrapperDescriptorType
from typing import Any, cast

import msgspec
from django.db.models import Model
from django.utils.functional import LazyObject, Promise, empty

from dbroute_panel.credentials import without_credentials
from dbroute_panel.recording.frame_kinds import USER, classify_file

SCALARS = frozenset({str, int, float, bool, type(None)})
"""Exact types that JSON holds as they are."""

PLAIN = SCALARS | {
    bytes,
    decimal.Decimal,
    dt.date,
    dt.datetime,
    dt.time,
    dt.timedelta,
    uuid.UUID,
}
"""Exact types whose text is safe to take at any time: it runs no code of the user's."""


_TELLING = (str, bytes, int, float, type(None), Promise)
"""Types of an exception's arguments that its message can be made of at any time."""

_OF_SOURCE = (SyntaxError, IndentationError, TabError)

LONG = 2000
"""How many characters are kept of a text that is too long to be kept."""


LONG_INTEGER = 1 << 63
"""Integers below take no more than 36 bytes."""


class Instance(msgspec.Struct, frozen=True, gc=False):
    """A model instance as it was; ``pk`` is None or a tuple of the raw values of its key."""

    model: str
    pk: tuple[Any, ...] | None
    state_db: str | None
    adding: bool
    origin_id: int | None


class Typed(msgspec.Struct, frozen=True, gc=False):
    """Something of which only the dotted path of the type is kept."""

    path: str


def dotted(thing: object) -> str:
    """The dotted path of a class, of a module, or of an object's class. It evaluates no lazy object."""
    cls = type(thing)
    if issubclass(cls, ModuleType):
        return str(thing.__dict__.get("__name__"))
    if issubclass(cls, type):
        cls = cast("type", thing)
    return f"{cls.__module__}.{cls.__qualname__}"


def described(error: BaseException) -> str:
    """
    ``Class: message`` of an exception, without credentials; the class alone where it has no message.

    Also where saying it could run a query: ``str()`` of an exception that was given a model instance
    or a queryset is the ``str()`` or ``repr()`` of these, and a ``__str__`` of the project may do anything.
    """
    name = type(error).__name__
    # Of a SyntaxError its message has the file's name and the line's number, and nothing of the source.
    telling = type(error) in _OF_SOURCE or all(issubclass(type(one), _TELLING) for one in _arguments(error))
    if not telling:
        return name
    say: Any = type(error).__str__
    if type(say) is not WrapperDescriptorType and (
        type(say) is not FunctionType or classify_file(say.__code__.co_filename) == USER
    ):
        return name  # it is not Python's own, nor a library's function
    try:
        message = without_credentials(say(error))
    except Exception:  # a library's own __str__ may raise
        return name
    return f"{name}: {shortened(message)}" if message else name


def _arguments(error: BaseException) -> tuple[Any, ...]:
    """What an exception was given: a class of the project's may have a property of this name."""
    given: tuple[Any, ...] = vars(BaseException)["args"].__get__(error)
    return given


def label(model: Any) -> str | None:
    """``_meta.label``, also of what only looks like a model (the database cache's CacheEntry); or None."""
    meta = getattr(model, "_meta", None)
    if meta is None:
        return None
    try:
        return str(meta.label)
    except AttributeError:
        return f"{meta.app_label}.{meta.object_name}"


def scalar(value: Any) -> Any:
    """An answer as a JSON scalar, without its subclass; else ``Typed``, which stays what it is."""
    cls = type(value)
    if cls in SCALARS or cls is Typed:
        return value
    if issubclass(cls, str):
        return str.__str__(value)
    return Typed(dotted(value))


def hint(value: Any, answers: Mapping[int, int]) -> Any:
    """A hint or argument: an ``Instance``, a scalar, or ``Typed``."""
    if type(value) is str:
        return shortened(value)
    if type(value) in SCALARS:
        return value
    return instance(value, answers) or scalar(value)


def instance(value: Any, answers: Mapping[int, int]) -> Instance | None:
    """
    The facts about a model instance, or None where ``value`` is none (or not built far enough to tell).

    ``answers`` has the decisions of the trace by the identity of what they handed back.
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
    return Instance(
        cls._meta.label,
        _key(cls, attributes),
        None if db is None else str.__str__(db) if issubclass(type(db), str) else dotted(db),
        bool(state.adding) if state is not None else True,
        None if db is None else answers.get(id(db)),
    )


def _key(model: type[Model], attributes: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """The raw primary key from ``__dict__``: several values where it is composite; None where unset."""
    fields = getattr(model._meta, "pk_fields", None) or (model._meta.pk,)
    key = tuple(_parameter(attributes.get(field.attname)) for field in fields if field is not None)
    if not key or any(part is None or type(part) is Typed for part in key):
        return None
    return key


def parameters(params: Any, many: bool) -> Any:
    """
    SQL parameters as a value that nobody changes afterwards: a tuple, a dict, or a tuple of these.

    Of ``executemany`` the first 10 rows; None where they are an iterator, which must not be consumed. Where
    the connection's tap has marshalled them, they are a copy already, in one object.
    """
    if type(params) is bytes:
        params = loads(params)  # noqa: S302 - of what this process has dumped, and never stored
    if many:
        if not isinstance(params, (list, tuple)):
            return None
        return tuple(parameters(row, many=False) for row in params[:10])
    if type(params) is tuple and PLAIN.issuperset(map(type, params)):
        return params
    if isinstance(params, Mapping):
        return {str(name): _parameter(value) for name, value in params.items()}
    if isinstance(params, (list, tuple)):
        return tuple(map(_parameter, params))
    return None


def _parameter(value: Any) -> Any:
    cls = type(value)
    if cls in PLAIN:
        return value
    if cls in (list, tuple):
        return tuple(map(_parameter, value))
    if cls in (bytearray, memoryview):  # they may change, and a view would keep its object locked
        return bytes(value)
    if issubclass(cls, str):  # SafeString, TextChoices and their like: without their own __str__
        return str.__str__(value)
    for number in (int, float):
        if issubclass(cls, number):
            return number.__pos__(value)
    return Typed(dotted(value))


def weight(kept: Any) -> int:
    """How many bytes a statement's text or its kept parameters take, roughly."""
    if type(kept) is tuple:
        size = 0
        for value in kept:
            size += 32 if type(value) is int and -LONG_INTEGER < value < LONG_INTEGER else weight(value)
        return size
    if type(kept) is dict:
        return sum(map(weight, kept.values()))
    return getsizeof(kept)


def shortened(text: str, length: int | None = None) -> str:
    """
    The text; the beginning of one that is too long, with its length.

    ``length``: that of the text of which ``text`` is the beginning already.
    """
    if length is None and len(text) <= LONG:
        return text
    return f"{text[:LONG]}… ({length or len(text)} characters)"
