"""
When is the value of a setting a mistake, and which kind of mistake is it?

A rule is a generator of mistakes. It reads settings only: it opens no connection and asks no
router. It never prints a value that may hold a password.
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
from dbroute_panel.suggestions import did_you_mean, nearest


class Wrong(enum.IntEnum):
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
    """Something that cannot be used: ``message`` names the key, ``hint`` is the next thing to do."""

    wrong: Wrong
    message: str
    hint: str


Rule = Callable[["Key", Any], Iterable[Mistake]]


class Key(NamedTuple):
    """One key: ``valid`` completes "Use ..."; ``resolve`` turns a valid value into what is read."""

    name: str
    default: Any
    valid: str
    rule: Rule
    resolve: Callable[[Any], Any] = lambda value: value

    def mistakes(self, value: object) -> list[Mistake]:
        """What is wrong with ``value``; empty if it can be used. Never raises."""
        try:
            return list(self.rule(self, value))
        except Exception as error:  # noqa: BLE001 - a dict, string or module of the user's can raise anything
            return [self.mistake(Wrong.VALUE, f"cannot be read: {type(error).__name__}")]

    def mistake(self, wrong: Wrong, what: str, hint: str = "") -> Mistake:
        return Mistake(wrong, f"DBROUTE_PANEL[{self.name!r}] {what}.", hint or f"Use {self.valid}.")

    def wrong_type(self, value: object) -> Mistake:
        return self.mistake(Wrong.TYPE, f"is of type {type(value).__name__}")


def instance_of(*types: type) -> Rule:
    """The value is of one of ``types``; True is no number."""

    def rule(key: Key, value: Any) -> Iterator[Mistake]:
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            yield key.wrong_type(value)

    return rule


def number(*types: type, least: float, most: float = float("inf")) -> Rule:
    """A number of ``types``, from ``least`` to ``most``; so not NaN."""
    of_type = instance_of(*types)

    def rule(key: Key, value: Any) -> Iterator[Mistake]:
        if wrong := list(of_type(key, value)):
            yield from wrong
        elif not least <= value <= most:
            yield key.mistake(Wrong.VALUE, f"is {value!r}")

    return rule


def one_of(*valid: str) -> Rule:
    def rule(key: Key, value: Any) -> Iterator[Mistake]:
        if not isinstance(value, str):
            yield key.wrong_type(value)
        elif value not in valid:
            yield key.mistake(Wrong.VALUE, f"is {value!r}", did_you_mean(value, valid))

    return rule


def strings(key: Key, value: Any) -> Iterator[Mistake]:
    if not isinstance(value, (list, tuple, set, frozenset)):
        yield key.wrong_type(value)
        return
    for entry in value:
        if not isinstance(entry, str):
            yield key.mistake(Wrong.TYPE, f"has an entry of type {type(entry).__name__}")


def packages(key: Key, value: Any) -> Iterator[Mistake]:
    """Each is the name of a package or module that is installed. None is imported for that."""
    if wrong := list(strings(key, value)):
        yield from wrong
        return
    for name in value:
        if not places_of(name):
            meant = nearest(name, _of_apps())
            hint = f"Did you mean {meant!r}?" if meant else ""
            yield key.mistake(Wrong.IMPORT, f"names {name!r}, which cannot be found", hint)


def _of_apps() -> set[str]:
    """The packages that the installed apps are in: those that are most likely meant."""
    paths = [entry.split(".") for entry in settings.INSTALLED_APPS]
    return {".".join(path[:depth]) for path in paths for depth in range(1, len(path) + 1)}


def loaded(path_or_callable: Any) -> Any:
    """What a dotted path names; anything else is returned as it is."""
    return import_string(path_or_callable) if isinstance(path_or_callable, str) else path_or_callable


def callables(key: Key, paths: Iterable[Any]) -> Iterator[Mistake]:
    """Each is, or is the dotted path of, a plain function of one argument."""
    for path in paths:
        try:
            function = loaded(path)
        except Exception as error:  # noqa: BLE001 - importing runs the user's module
            yield key.mistake(Wrong.IMPORT, f"names {path!r}, which cannot be imported: {error}")
            continue
        if not callable(function):
            yield key.mistake(Wrong.TYPE, f"names {path!r}, which cannot be called")
        elif inspect.iscoroutinefunction(function):
            yield key.mistake(Wrong.VALUE, f"names {path!r}, which is async")
        elif not takes_one(function):
            yield key.mistake(Wrong.VALUE, f"names {path!r}, which does not take one argument")


def takes_one(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:  # written in C, without a signature: calling it will tell
        return True
    return True


def should_record(key: Key, value: Any) -> Iterable[Mistake]:
    return callables(key, [value]) if isinstance(value, str) or callable(value) else [key.wrong_type(value)]


def findings(key: Key, value: Any) -> Iterator[Mistake]:
    if wrong := list(strings(key, value)):
        yield from wrong
    else:
        yield from callables(key, value)


def replicas(key: Key, value: Any) -> Iterator[Mistake]:
    """``{alias: alias}``, all of them in ``DATABASES``, and nobody a replica of itself in the end."""
    if not isinstance(value, dict):
        yield key.wrong_type(value)
        return
    databases = list(settings.DATABASES)
    for alias in dict.fromkeys(name for pair in value.items() for name in pair):
        if not isinstance(alias, str):
            yield key.mistake(Wrong.TYPE, f"has an alias of type {type(alias).__name__}")
        elif alias not in databases:
            hint = did_you_mean(alias, databases)
            yield key.mistake(Wrong.ALIAS, f"names {alias!r}, which is not in DATABASES", hint)
    for alias in value:
        if primary_of(alias, value) is None:
            yield key.mistake(Wrong.CYCLE, f"makes {alias!r} a replica of itself")


def primary_of(alias: str, replica_of: Mapping[str, str]) -> str | None:
    """The end of the chain of replicas that begins at ``alias``; None if it has no end."""
    seen = {alias}
    while (primary := replica_of.get(alias)) is not None:
        if primary in seen:
            return None
        seen.add(primary)
        alias = primary
    return alias


def store(key: Key, value: Any) -> Iterator[Mistake]:
    """The shape; whether there is such a backend, and what its options are, ``stores.build`` knows."""
    if not isinstance(value, dict):
        yield key.wrong_type(value)
        return
    for name in value:
        if name not in ("BACKEND", "OPTIONS"):
            yield key.mistake(Wrong.STORE, f"has {name!r}", did_you_mean(str(name), ["BACKEND", "OPTIONS"]))
    if "BACKEND" not in value:
        yield key.mistake(Wrong.STORE, "has no 'BACKEND'")
    elif not isinstance(value["BACKEND"], str):
        yield key.mistake(Wrong.TYPE, f"has a 'BACKEND' of type {type(value['BACKEND']).__name__}")
    options = value.get("OPTIONS", {})
    if not isinstance(options, dict) or not all(isinstance(name, str) for name in options):
        yield key.mistake(Wrong.TYPE, "has 'OPTIONS' that are not a dict with names as keys")


def endpoint(key: Key, value: Any) -> Iterator[Mistake]:
    if value is None:
        return
    if not isinstance(value, str):
        yield key.wrong_type(value)
        return
    try:
        url = urlsplit(value)
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:  # a broken IPv6 address, or a port that is no number
        usable = False
    if not usable:
        yield key.mistake(Wrong.VALUE, "is no URL that can be sent to")


def editor_url(key: Key, value: Any) -> Iterator[Mistake]:
    if value is None:
        return
    if not isinstance(value, str):
        yield key.wrong_type(value)
        return
    try:
        parts = list(string.Formatter().parse(value))
    except ValueError as error:
        yield key.mistake(Wrong.VALUE, f"has braces that do not match: {error}")
        return
    fields = {field for _, field, _, _ in parts if field is not None}
    for field in sorted(fields - {"file", "line"}):
        hint = did_you_mean(field, ["file", "line"])
        yield key.mistake(Wrong.VALUE, f"has the placeholder {{{field}}}", hint)
    if any(spec or conversion for _, _, spec, conversion in parts):
        yield key.mistake(Wrong.VALUE, "formats a placeholder")
    if "file" not in fields:
        yield key.mistake(Wrong.VALUE, "has no placeholder {file}")
    scheme = re.match(r"([a-zA-Z][a-zA-Z0-9+.-]*):", value)
    if scheme is None or scheme[1].lower() in ("javascript", "data", "vbscript"):
        yield key.mistake(Wrong.VALUE, "is not the URL of an editor")
