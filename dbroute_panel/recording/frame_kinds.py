"""
Classify the files that code comes from: Django's, another library's, Python's own, or the user's.

A file is classified once and then looked up by its name: hashing a code object would cost seven times as
much.
"""

from __future__ import annotations

import enum
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


class FrameKind(enum.Enum):
    """What the code of a file is, as far as a walk up the frames has to know."""

    USER = enum.auto()  # the project, wherever it lies
    LIBRARY = enum.auto()  # whatever else is installed
    PYTHON = enum.auto()  # the standard library, and the scripts that installed packages start with
    FRAMEWORK = enum.auto()  # Django, asgiref, this package, the debug toolbar; what follows are parts of it
    CONTRIB = enum.auto()  # Django's own apps, views, middlewares and commands
    HANDLER = enum.auto()  # calls views, middlewares and commands of anybody, or shows their variables
    THREAD = enum.auto()  # runs sync code for async code
    TEMPLATE = enum.auto()
    QUERYSET = enum.auto()
    MODEL = enum.auto()
    DEFERRED = enum.auto()  # loads fields that were deferred
    SCHEMA = enum.auto()
    COMPILER = enum.auto()
    RAW = enum.auto()  # has RawQuery
    CURSOR = enum.auto()
    STORE = enum.auto()  # the debug toolbar's store


_TOOLBAR = [spec.origin for spec in (find_spec("debug_toolbar"),) if spec is not None and spec.origin]


def _folder(file: str) -> str:
    return Path(file).parent.as_posix() + "/"


_FRAMEWORK = (DJANGO_FOLDER, *map(_folder, (asgiref.__file__, _folder(__file__), *_TOOLBAR)))
_SPECIAL = {
    f"{DJANGO_FOLDER}db/backends/utils.py": FrameKind.CURSOR,
    f"{DJANGO_FOLDER}db/models/query_utils.py": FrameKind.DEFERRED,
    f"{DJANGO_FOLDER}db/models/sql/compiler.py": FrameKind.COMPILER,
    f"{DJANGO_FOLDER}db/models/sql/query.py": FrameKind.RAW,
    f"{DJANGO_FOLDER}db/models/query.py": FrameKind.QUERYSET,
    f"{DJANGO_FOLDER}db/models/base.py": FrameKind.MODEL,
    f"{DJANGO_FOLDER}template/base.py": FrameKind.TEMPLATE,
    f"{_folder(asgiref.__file__)}sync.py": FrameKind.THREAD,
    f"{DJANGO_FOLDER}core/handlers/base.py": FrameKind.HANDLER,
    f"{DJANGO_FOLDER}core/handlers/exception.py": FrameKind.HANDLER,
    f"{DJANGO_FOLDER}core/management/__init__.py": FrameKind.HANDLER,
    f"{DJANGO_FOLDER}views/debug.py": FrameKind.HANDLER,
    f"{_folder(__file__)}streams.py": FrameKind.HANDLER,
}
_SPECIAL |= {f"{_folder(file)}store.py": FrameKind.STORE for file in _TOOLBAR}
_STDLIB = [f"{Path(sysconfig.get_path(name)).as_posix()}/" for name in ("stdlib", "platstdlib")]
_PYTHON = (*_STDLIB, "<frozen ")
_SCRIPTS = f"{Path(sysconfig.get_path('scripts')).as_posix()}/"
_INSTALLED = re.compile(r"/(?:site|dist)-packages/")
_CONTRIB = tuple(
    f"{DJANGO_FOLDER}{folder}/" for folder in ("contrib", "views", "middleware", "core/management/commands")
)


def _find_kind(file: str) -> FrameKind:
    if (kind := _SPECIAL.get(file)) is not None:
        return kind
    if file.startswith(f"{DJANGO_FOLDER}db/backends/") and file.endswith("/schema.py"):
        return FrameKind.SCHEMA
    if file.startswith(_FRAMEWORK):
        return FrameKind.CONTRIB if file.startswith(_CONTRIB) else FrameKind.FRAMEWORK
    # A project's folder may have the virtual environment in it, with all the libraries.
    if any(
        file.startswith(path) and not _INSTALLED.search(file, len(path) - 1) for path in find_user_paths()
    ):
        return FrameKind.USER
    if _INSTALLED.search(file):
        return FrameKind.LIBRARY
    return FrameKind.PYTHON if file.startswith(_PYTHON) or _is_launcher(file) else FrameKind.USER


def _is_launcher(file: str) -> bool:
    """Return whether ``file`` starts an installed package, as ``bin/celery`` or ``celery.exe``."""
    return file.startswith(_SCRIPTS) and (not file.endswith(".py") or file.endswith(".exe/__main__.py"))


@cache
def find_user_paths() -> tuple[str, ...]:
    """Return the folders and files of the packages that are the user's code even where they are installed."""
    settings_module = getattr(settings, "SETTINGS_MODULE", None) or os.environ.get(ENVIRONMENT_VARIABLE)
    urls = getattr(settings, "ROOT_URLCONF", None)  # tests have modules and lists of patterns there
    modules = [name for name in (settings_module, getattr(urls, "__name__", urls)) if type(name) is str]
    packages = dict.fromkeys(name.partition(".")[0] for name in modules) | dict.fromkeys(
        panel_settings.USER_PACKAGES
    )
    return tuple(place for name in packages for place in places_of(name))


def get_code(function: Any) -> Any:
    """
    Return the code of a function of Django's or asgiref's, by which its frames are known.

    The function may have been wrapped before we are imported. The code is None where the wrapper does not say
    what it wraps.
    """
    return getattr(unwrap(function), "__code__", None)


_kinds: Final[dict[str, FrameKind]] = {}
MAX_FILES = 20_000
"""File names can be created dynamically: at this many all are classified afresh."""


class FrameFilter(dict[str, FrameKind | None]):
    """
    The files at whose frames a walk stops, each with its kind; None for the files that it passes by.

    So a walk takes the fewest steps that Python can do for a frame that says nothing.
    """

    def __init__(self, *kinds: FrameKind) -> None:
        self.kinds = frozenset(kinds)
        _filters.append(self)

    def __missing__(self, file: str) -> FrameKind | None:
        kind = classify_file(file)
        known = self[file] = kind if kind in self.kinds else None
        return known


_filters: Final[list[FrameFilter]] = []


def classify_file(file: str) -> FrameKind:
    """Return the kind of a file, by the name that a code object has for it."""
    if (kind := _kinds.get(file)) is None:
        if len(_kinds) >= MAX_FILES:
            forget_files()
        kind = _kinds[file] = _find_kind(file.replace("\\", "/"))
    return kind


def forget_files() -> None:
    """Classify all files afresh."""
    _kinds.clear()
    for each in _filters:
        each.clear()
    find_user_paths.cache_clear()


def forget_files_on_change(*, setting: str, **kwargs: object) -> None:
    """Classify files afresh where a test has other settings that tell the user's files."""
    if setting in ("ROOT_URLCONF", "SETTINGS_MODULE", "DBROUTE_PANEL"):
        forget_files()


setting_changed.connect(forget_files_on_change, dispatch_uid="dbroute_panel.recording.frame_kinds")
