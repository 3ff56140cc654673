"""Describe the project that is recorded: its databases, its routers, and where its files lie."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final, cast

import django
from django.conf import settings
from django.db import connections, router
from django.db.utils import load_backend

from dbroute_panel import records
from dbroute_panel.conf import replicas
from dbroute_panel.masking.values import escape_surrogates

DJANGO_FOLDER: Final = f"{Path(django.__file__).parent.as_posix()}/"

_INSTALLED = re.compile(r".*[\\/](?:site|dist)-packages[\\/]", re.DOTALL)


def dotted_path(thing: object) -> str:
    """Return the dotted path of a class, a module or an object's class. No lazy object is evaluated."""
    cls = type(thing)
    if issubclass(cls, ModuleType):
        return str(thing.__dict__.get("__name__"))
    if issubclass(cls, type):
        cls = cast("type", thing)
    return f"{cls.__module__}.{cls.__qualname__}"


def base_dir() -> str | None:
    """Return ``settings.BASE_DIR`` as text, or None where it is not set or no path."""
    base = getattr(settings, "BASE_DIR", None)
    return str(Path(base)) if isinstance(base, (str, Path)) else None


@lru_cache(maxsize=2048)
def relative_path(file: str, base: str | None) -> str:
    """
    Return ``file`` as a Callsite has it.

    A library's is relative to its ``site-packages``, any other to ``base`` (``base_dir()``) if it is below.
    """
    if base is not None and Path(file).is_relative_to(base):
        file = Path(file).relative_to(base).as_posix()
    elif file.startswith(DJANGO_FOLDER):  # perhaps a checkout
        file = file[len(DJANGO_FOLDER) - len("django/") :]
    if (installed := _INSTALLED.match(file)) is not None:
        file = file[installed.end() :].replace("\\", "/")
    return escape_surrogates(file)


def installed_folders() -> list[str]:
    """Return the folders to which ``relative_path()`` makes the file of a library relative."""
    folders = [entry for entry in sys.path if _INSTALLED.fullmatch(f"{entry}/")]
    return [*folders, str(Path(DJANGO_FOLDER).parent)]


def router_paths() -> list[str]:
    """Return the dotted paths of the routers, in order, without making those that Django has not made yet."""
    made: Iterable[Any] = router.__dict__.get("routers", settings.DATABASE_ROUTERS)
    return [escape_surrogates(entry if isinstance(entry, str) else dotted_path(entry)) for entry in made]


def databases(vendors: Mapping[str, str] | None = None) -> dict[str, records.Database]:
    """
    Return the project's databases by alias, without connecting to any.

    Args:
        vendors: The vendors of those aliases that a connection is known of; the others' come from ``ENGINE``.
    """
    primaries, known = replicas(), vendors or {}
    return {
        escape_surrogates(str.__str__(alias)): records.Database(
            vendor=known.get(alias) or _vendor(options.get("ENGINE", "")),
            engine=options.get("ENGINE", ""),
            replica_of=primaries.get(alias),
        )
        for alias, options in connections.settings.items()
    }


@lru_cache
def _vendor(engine: str) -> str:
    try:
        return str(load_backend(engine).DatabaseWrapper.vendor)
    except Exception:  # noqa: BLE001 - its driver is not installed, and no query of the trace needed it
        return "unknown"
