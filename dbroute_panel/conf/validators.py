"""
What makes the value of a setting a mistake.

A validator takes a value and yields its mistakes, whose messages and hints ``Setting`` completes. It reads
settings only: it opens no connection, asks no router, and prints no value that may hold a password.
"""

from __future__ import annotations

import enum
import inspect
import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.module_loading import import_string

from dbroute_panel.packages import places_of
from dbroute_panel.suggestions import did_you_mean, find_nearest


class MistakeKind(enum.IntEnum):
    """The kinds of mistake; the number is that of the system check, ``dbroute_panel.E001`` and on."""

    NO_DICT = 1
    UNKNOWN_KEY = 2
    TYPE = 3
    VALUE = 4
    ALIAS = 5
    CYCLE = 6
    IMPORT = 7
    STORE = 8


class Mistake(NamedTuple):
    """A value that cannot be used: ``message`` says why, ``hint`` what to do next."""

    kind: MistakeKind
    message: str
    hint: str = ""


Validator = Callable[[Any], Iterable[Mistake]]


def wrong_type(value: object, what: str = "is") -> Mistake:
    return Mistake(MistakeKind.TYPE, f"{what} of type {type(value).__name__}")


def instance_of(*types: type) -> Validator:
    """Accept values of ``types``; True is no number."""

    def validate(value: Any) -> Iterator[Mistake]:
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            yield wrong_type(value)

    return validate


def number(*types: type, least: float, most: float = float("inf")) -> Validator:
    """Accept numbers of ``types`` from ``least`` to ``most``, but not NaN."""
    of_type = instance_of(*types)

    def validate(value: Any) -> Iterator[Mistake]:
        if wrong := list(of_type(value)):
            yield from wrong
        elif not least <= value <= most:
            yield Mistake(MistakeKind.VALUE, f"is {value!r}")

    return validate


def one_of(*choices: str) -> Validator:
    def validate(value: Any) -> Iterator[Mistake]:
        if not isinstance(value, str):
            yield wrong_type(value)
        elif value not in choices:
            yield Mistake(MistakeKind.VALUE, f"is {value!r}", did_you_mean(value, choices))

    return validate


def strings(value: Any) -> Iterator[Mistake]:
    if not isinstance(value, (list, tuple, set, frozenset)):
        yield wrong_type(value)
        return
    for entry in value:
        if not isinstance(entry, str):
            yield wrong_type(entry, "has an entry")


def packages(value: Any) -> Iterable[Mistake]:
    """Accept names of installed packages and modules. None is imported for that."""
    return list(strings(value)) or missing_packages(value)


def missing_packages(names: Iterable[str]) -> Iterator[Mistake]:
    for name in names:
        if not places_of(name):
            paths = [entry.split(".") for entry in settings.INSTALLED_APPS]  # most likely meant
            known = {".".join(path[:depth]) for path in paths for depth in range(1, len(path) + 1)}
            hint = f"Did you mean {meant!r}?" if (meant := find_nearest(name, known)) else ""
            yield Mistake(MistakeKind.IMPORT, f"names {name!r}, which cannot be found", hint)


def load(path_or_callable: Any) -> Any:
    """Import what a dotted path names; return anything else as it is."""
    return import_string(path_or_callable) if isinstance(path_or_callable, str) else path_or_callable


def function(value: Any) -> Iterable[Mistake]:
    """Accept a plain function of one argument, or its dotted path."""
    return callables([value]) if isinstance(value, str) or callable(value) else [wrong_type(value)]


def functions(value: Any) -> Iterable[Mistake]:
    """Accept a list of dotted paths of plain functions of one argument."""
    return list(strings(value)) or callables(value)


def callables(paths: Iterable[Any]) -> Iterator[Mistake]:
    for path in paths:
        try:
            found = load(path)
        except Exception as error:  # noqa: BLE001 - importing runs the user's module
            yield Mistake(MistakeKind.IMPORT, f"names {path!r}, which cannot be imported: {error}")
            continue
        if not callable(found):
            yield Mistake(MistakeKind.TYPE, f"names {path!r}, which cannot be called")
        elif inspect.iscoroutinefunction(found):
            yield Mistake(MistakeKind.VALUE, f"names {path!r}, which is async")
        elif not takes_one(found):
            yield Mistake(MistakeKind.VALUE, f"names {path!r}, which does not take one argument")


def takes_one(found: Callable[..., Any]) -> bool:
    """Return whether ``found`` can be called with one argument."""
    try:
        inspect.signature(found).bind(None)
    except TypeError:
        return False
    except ValueError:  # written in C, without a signature: calling it will tell
        return True
    return True


def replicas(value: Any) -> Iterator[Mistake]:
    """Accept ``{alias: alias}``, all in ``DATABASES``, with no alias a replica of itself in the end."""
    if not isinstance(value, dict):
        yield wrong_type(value)
        return
    databases = list(settings.DATABASES)
    for alias in dict.fromkeys(name for pair in value.items() for name in pair):
        if not isinstance(alias, str):
            yield wrong_type(alias, "has an alias")
        elif alias not in databases:
            hint = did_you_mean(alias, databases)
            yield Mistake(MistakeKind.ALIAS, f"names {alias!r}, which is not in DATABASES", hint)
    for alias in value:
        if find_primary(alias, value) is None:
            yield Mistake(MistakeKind.CYCLE, f"makes {alias!r} a replica of itself")


def find_primary(alias: str, replica_of: Mapping[str, str]) -> str | None:
    """Return the end of the chain of replicas that begins at ``alias``; None if it has no end."""
    seen = {alias}
    while (primary := replica_of.get(alias)) is not None:
        if primary in seen:
            return None
        seen.add(primary)
        alias = primary
    return alias


def store(value: Any) -> Iterator[Mistake]:
    """Accept the shape; ``stores.build`` knows whether there is such a backend, and its options."""
    if not isinstance(value, dict):
        yield wrong_type(value)
        return
    for name in value:
        if name not in ("BACKEND", "OPTIONS"):
            hint = did_you_mean(str(name), ["BACKEND", "OPTIONS"])
            yield Mistake(MistakeKind.STORE, f"has {name!r}", hint)
    if "BACKEND" not in value:
        yield Mistake(MistakeKind.STORE, "has no 'BACKEND'")
    elif not isinstance(value["BACKEND"], str):
        yield wrong_type(value["BACKEND"], "has a 'BACKEND'")
    options = value.get("OPTIONS", {})
    if not isinstance(options, dict) or not all(isinstance(name, str) for name in options):
        yield Mistake(MistakeKind.TYPE, "has 'OPTIONS' that are not a dict with names as keys")


def endpoint(value: Any) -> Iterator[Mistake]:
    if value is None:
        return
    if not isinstance(value, str):
        yield wrong_type(value)
        return
    try:
        url = urlsplit(value)
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:  # a broken IPv6 address, or a port that is no number
        usable = False
    if not usable:
        yield Mistake(MistakeKind.VALUE, "is no URL that can be sent to")


def editor_url(value: Any) -> Iterator[Mistake]:
    if value is None:
        return
    if not isinstance(value, str):
        yield wrong_type(value)
        return
    try:
        parts = list(string.Formatter().parse(value))
    except ValueError as error:
        yield Mistake(MistakeKind.VALUE, f"has braces that do not match: {error}")
        return
    fields = {field for _, field, _, _ in parts if field is not None}
    for field in sorted(fields - {"file", "line"}):
        hint = did_you_mean(field, ["file", "line"])
        yield Mistake(MistakeKind.VALUE, f"has the placeholder {{{field}}}", hint)
    if any(spec or conversion for _, _, spec, conversion in parts):
        yield Mistake(MistakeKind.VALUE, "formats a placeholder")
    if "file" not in fields:
        yield Mistake(MistakeKind.VALUE, "has no placeholder {file}")
    scheme = re.match(r"([a-zA-Z][a-zA-Z0-9+.-]*):", value)
    if scheme is None or scheme[1].lower() in ("javascript", "data", "vbscript"):
        yield Mistake(MistakeKind.VALUE, "is not the URL of an editor")
