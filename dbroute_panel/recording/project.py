"""What a document says of the project: its databases, its routers, and where its files are."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections, router
from django.db.utils import load_backend

from dbroute_panel import records
from dbroute_panel.conf import replicas
from dbroute_panel.recording.frame_kinds import DJANGO
from dbroute_panel.recording.snapshots import dotted, scalar
from dbroute_panel.recording.values import text_of

_INSTALLED = re.compile(r".*[\\/](?:site|dist)-packages[\\/]", re.DOTALL)


def base_dir() -> str | None:
    base = getattr(settings, "BASE_DIR", None)
    return str(Path(base)) if isinstance(base, (str, Path)) else None


def relative(file: str) -> str:
    """
    ``file`` as a Callsite has it.

    A library's is relative to its ``site-packages``, any other to ``settings.BASE_DIR`` where it is below.
    """
    return relative_to(file, base_dir())


@lru_cache(maxsize=2048)
def relative_to(file: str, base: str | None) -> str:
    if base is not None and Path(file).is_relative_to(base):
        file = Path(file).relative_to(base).as_posix()
    elif file.startswith(DJANGO):  # perhaps a checkout
        file = file[len(DJANGO) - len("django/") :]
    if (installed := _INSTALLED.match(file)) is not None:
        file = file[installed.end() :].replace("\\", "/")
    return text_of(file)


def installed_folders() -> list[str]:
    """The folders to which ``relative()`` makes the file of a library relative."""
    folders = [entry for entry in sys.path if _INSTALLED.fullmatch(f"{entry}/")]
    return [*folders, str(Path(DJANGO).parent)]


def routers() -> list[str]:
    """The dotted paths of the routers, in order. Where nobody was asked yet they are not made for this."""
    made: Iterable[Any] = router.__dict__.get("routers", settings.DATABASE_ROUTERS)
    return [text_of(entry if isinstance(entry, str) else dotted(entry)) for entry in made]


def databases(vendors: dict[str, str]) -> dict[str, records.Database]:
    primaries = replicas()
    return {
        text_of(scalar(alias)): records.Database(
            vendor=vendors.get(alias) or _vendor(options.get("ENGINE", "")),
            engine=options.get("ENGINE", ""),
            replica_of=primaries.get(alias),
        )
        for alias, options in connections.settings.items()
    }


@lru_cache
def _vendor(engine: str) -> str:
    """The vendor of a database that no query of the trace ran on, without connecting to it."""
    try:
        return str(load_backend(engine).DatabaseWrapper.vendor)
    except Exception:  # its driver is not installed, and nobody missed it
        return "unknown"
