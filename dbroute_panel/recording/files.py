"""
What kind of file is a frame's code from: Django's, another library's, Python's own, or the user's?

A file is classed once and then looked up by its name (hashing a code object would cost seven times as much).
"""

from __future__ import annotations

import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import asgiref
import django
from django.core.handlers.base import BaseHandler

FRAMEWORK, PYTHON, QUERYSET, OWN, COMPILER, RAW, MODEL, SCHEMA, TEMPLATE, THREAD, LIBRARY, USER = range(12)
"""
Kinds of file. FRAMEWORK is Django, asgiref, this package and the debug toolbar; LIBRARY is whatever else is
installed; PYTHON the standard library; the rest are files of these that say more. In the order of what they
tell: up to OWN nothing about a query's origin, up to SCHEMA nothing about a callsite.
"""

_TOOLBAR = [spec.origin for spec in (find_spec("debug_toolbar"),) if spec is not None and spec.origin]


def _folder(file: str) -> str:
    return Path(file).parent.as_posix() + "/"


DJANGO: Final = _folder(django.__file__)
_FRAMEWORK = tuple(map(_folder, (django.__file__, asgiref.__file__, _folder(__file__), *_TOOLBAR)))
_SPECIAL = {
    f"{DJANGO}db/models/sql/compiler.py": COMPILER,
    f"{DJANGO}db/models/sql/query.py": RAW,
    f"{DJANGO}db/models/query.py": QUERYSET,
    f"{DJANGO}db/models/base.py": MODEL,
    f"{DJANGO}template/base.py": TEMPLATE,
    f"{_folder(asgiref.__file__)}sync.py": THREAD,
}
_SPECIAL |= {f"{_folder(file)}store.py": OWN for file in _TOOLBAR}
_STDLIB = [f"{Path(sysconfig.get_path(name)).as_posix()}/" for name in ("stdlib", "platstdlib")]
_PYTHON = (*_STDLIB, "<frozen ")
_HANDLER = BaseHandler._get_response.__code__.co_filename  # type: ignore[attr-defined]


def _class_of(file: str) -> int:
    if (kind := _SPECIAL.get(file)) is not None:
        return kind
    if file.startswith(f"{DJANGO}db/backends/") and file.endswith("/schema.py"):
        return SCHEMA
    if file.startswith(_FRAMEWORK):
        return FRAMEWORK
    if "/site-packages/" in file or "/dist-packages/" in file:
        return LIBRARY
    return PYTHON if file.startswith(_PYTHON) else USER


_known: Final[dict[str, int]] = {}
"""The kinds of the files met so far: plain dicts, whose subscript Python specialises."""

OF_SITES: Final[dict[str, int]] = {}
OF_ORIGINS: Final[dict[str, int]] = {}
OF_TEMPLATES: Final[dict[str, bool]] = {}
"""
The same for each walk, with 0 for the kinds that tell it nothing: from those it goes on to the next frame
with the fewest steps that Python can do.
"""


def kind_of(file: str) -> int:
    """The kind of a file. Somebody may make up file names: what is known begins again at 20,000."""
    if (kind := _known.get(file)) is None:
        if len(_known) >= 20_000:
            for known in (_known, OF_SITES, OF_ORIGINS, OF_TEMPLATES):
                known.clear()
        kind = _known[file] = _class_of(file.replace("\\", "/"))
    return kind


def meet(file: str) -> None:
    """Class a file that one of the walks has met for the first time."""
    kind = kind_of(file)
    OF_SITES[file] = kind if kind >= TEMPLATE else 0
    OF_TEMPLATES[file] = kind == TEMPLATE or file == _HANDLER
    OF_ORIGINS[file] = kind if kind >= COMPILER else 0
