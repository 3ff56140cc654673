"""
What kind of file is a frame's code from: Django's, another library's, Python's own, or the user's?

A file is classed once and then looked up by its name (hashing a code object would cost seven times as much).
"""

from __future__ import annotations

import os
import re
import sysconfig
from functools import cache
from importlib.util import find_spec
from inspect import unwrap
from pathlib import Path
from typing import Any, Final

import asgiref
from django.conf import ENVIRONMENT_VARIABLE, settings
from django.core.signals import setting_changed

from dbroute_panel.conf import panel_settings
from dbroute_panel.environment import DJANGO_FOLDER
from dbroute_panel.packages import places_of

FRAMEWORK, PYTHON, QUERYSET, OWN, CONTRIB, CURSOR, COMPILER, RAW = range(8)
MODEL, SCHEMA, DEFERRED, TEMPLATE, THREAD, HANDLER, LIBRARY, USER = range(8, 16)
"""
Kinds of file. FRAMEWORK is Django, asgiref, this package and the debug toolbar; USER the project, wherever it
lies; LIBRARY whatever else is installed; PYTHON the standard library and the scripts that installed packages
start with; the rest are files of these that say more. CONTRIB are Django's own apps, views, middlewares and
commands, HANDLER what calls those of anybody, or shows their variables. In the order of what they tell: up to
CONTRIB nothing, up to RAW nothing but who sends a query, up to DEFERRED nothing about a callsite.
"""

_TOOLBAR = [spec.origin for spec in (find_spec("debug_toolbar"),) if spec is not None and spec.origin]


def _folder(file: str) -> str:
    return Path(file).parent.as_posix() + "/"


_FRAMEWORK = (DJANGO_FOLDER, *map(_folder, (asgiref.__file__, _folder(__file__), *_TOOLBAR)))
_SPECIAL = {
    f"{DJANGO_FOLDER}db/backends/utils.py": CURSOR,
    f"{DJANGO_FOLDER}db/models/query_utils.py": DEFERRED,
    f"{DJANGO_FOLDER}db/models/sql/compiler.py": COMPILER,
    f"{DJANGO_FOLDER}db/models/sql/query.py": RAW,
    f"{DJANGO_FOLDER}db/models/query.py": QUERYSET,
    f"{DJANGO_FOLDER}db/models/base.py": MODEL,
    f"{DJANGO_FOLDER}template/base.py": TEMPLATE,
    f"{_folder(asgiref.__file__)}sync.py": THREAD,
    f"{DJANGO_FOLDER}core/handlers/base.py": HANDLER,
    f"{DJANGO_FOLDER}core/handlers/exception.py": HANDLER,
    f"{DJANGO_FOLDER}core/management/__init__.py": HANDLER,
    f"{DJANGO_FOLDER}views/debug.py": HANDLER,
    f"{_folder(__file__)}streams.py": HANDLER,
}
_SPECIAL |= {f"{_folder(file)}store.py": OWN for file in _TOOLBAR}
_STDLIB = [f"{Path(sysconfig.get_path(name)).as_posix()}/" for name in ("stdlib", "platstdlib")]
_PYTHON = (*_STDLIB, "<frozen ")
_SCRIPTS = f"{Path(sysconfig.get_path('scripts')).as_posix()}/"
_INSTALLED = re.compile(r"/(?:site|dist)-packages/")
_CONTRIB = tuple(
    f"{DJANGO_FOLDER}{folder}/" for folder in ("contrib", "views", "middleware", "core/management/commands")
)


def _class_of(file: str) -> int:
    if (kind := _SPECIAL.get(file)) is not None:
        return kind
    if file.startswith(f"{DJANGO_FOLDER}db/backends/") and file.endswith("/schema.py"):
        return SCHEMA
    if file.startswith(_FRAMEWORK):
        return CONTRIB if file.startswith(_CONTRIB) else FRAMEWORK
    # A project's folder may have the virtual environment in it, with all the libraries.
    if any(file.startswith(place) and not _INSTALLED.search(file, len(place) - 1) for place in user_places()):
        return USER
    if _INSTALLED.search(file):
        return LIBRARY
    return PYTHON if file.startswith(_PYTHON) or _is_launcher(file) else USER


def _is_launcher(file: str) -> bool:
    """Whether ``file`` is what an installed package is started with, as ``bin/celery`` or ``celery.exe``."""
    return file.startswith(_SCRIPTS) and (not file.endswith(".py") or file.endswith(".exe/__main__.py"))


@cache
def user_places() -> tuple[str, ...]:
    """The folders and files of the packages that are the user's code even where they are installed."""
    settings_module = getattr(settings, "SETTINGS_MODULE", None) or os.environ.get(ENVIRONMENT_VARIABLE)
    urls = getattr(settings, "ROOT_URLCONF", None)  # tests have modules and lists of patterns there
    modules = [name for name in (settings_module, getattr(urls, "__name__", urls)) if type(name) is str]
    packages = dict.fromkeys(name.partition(".")[0] for name in modules) | dict.fromkeys(
        panel_settings.USER_PACKAGES
    )
    return tuple(place for name in packages for place in places_of(name))


def get_code(function: Any) -> Any:
    """
    The code of a function of Django's or asgiref's, by which its frames are known.

    Somebody may have wrapped it before we are imported; where that does not say what it wraps, it is None.
    """
    return getattr(unwrap(function), "__code__", None)


_known: Final[dict[str, int]] = {}
"""The kinds of the files met so far: plain dicts, whose subscript Python specialises."""

OF_SITES: Final[dict[str, int]] = {}
OF_ORIGINS: Final[dict[str, int]] = {}
OF_SENDERS: Final[dict[str, int]] = {}
OF_TEMPLATES: Final[dict[str, bool]] = {}
"""
The same for each walk, with 0 for the kinds that tell it nothing: from those it goes on to the next frame
with the fewest steps that Python can do.
"""


BY_KINDS: Final[list[dict[Any, Any]]] = []
"""What other modules remember and the kinds of files decide."""


_SENDERS = frozenset({CURSOR, HANDLER, COMPILER, RAW, THREAD, LIBRARY, USER})


def classify_file(file: str) -> int:
    """The kind of a file. Somebody may make up file names: what is known begins again at 20,000."""
    if (kind := _known.get(file)) is None:
        if len(_known) >= 20_000:
            forget()
        kind = _known[file] = _class_of(file.replace("\\", "/"))
    return kind


def forget() -> None:
    """Class all files afresh."""
    caches: tuple[dict[Any, Any], ...] = (_known, OF_SITES, OF_ORIGINS, OF_SENDERS, OF_TEMPLATES, *BY_KINDS)
    for kinds in caches:
        kinds.clear()
    user_places.cache_clear()


def forget_on_change(*, setting: str, **kwargs: object) -> None:
    """Tests have settings of their own."""
    if setting in ("ROOT_URLCONF", "SETTINGS_MODULE", "DBROUTE_PANEL"):
        forget()


setting_changed.connect(forget_on_change, dispatch_uid="dbroute_panel.recording.frame_kinds")


def meet(file: str) -> None:
    """Class a file that one of the walks has met for the first time."""
    kind = classify_file(file)
    OF_SITES[file] = kind if kind >= TEMPLATE else 0
    OF_TEMPLATES[file] = kind in (TEMPLATE, HANDLER)
    OF_ORIGINS[file] = kind if kind >= MODEL else 0
    OF_SENDERS[file] = kind if kind in _SENDERS else 0
