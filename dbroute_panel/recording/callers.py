"""
Who is calling: the user's line, and the compiler or the ``save()`` that a query comes from.

One walk up the frames answers both. A file is classed once and then looked up by its name
(hashing a code object would cost seven times as much). The first frame that is the user's ends the
search for compiler and ``save()``: what lies beyond it did not send this query by itself.
"""

from __future__ import annotations

import sysconfig
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

import asgiref
import django
from django.core.handlers.base import BaseHandler
from django.db.backends.utils import CursorWrapper
from django.db.models.sql.compiler import SQLCompiler
from django.template.base import Node

from dbroute_panel.recording import tasks

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
_CURSOR_METHODS = frozenset({"execute", "executemany", "callproc", "execute_sql"})
_RENDER = Node.render_annotated.__code__
_VIEW = BaseHandler._get_response.__code__  # type: ignore[attr-defined]
_ASYNC_VIEW = BaseHandler._get_response_async.__code__  # type: ignore[attr-defined]

Template = tuple[str, int]
"""(name, line) of a template tag."""

Site = tuple[CodeType | str, int, Template | None]
"""
(code, instruction, template): what the line is, is found out when somebody wants to know (``place()``). Where
no Python of the user's is at work, (file of the template, line, template).
"""

Origin = tuple[Site | None, Any, Any, Any, bool]
"""
Where a query comes from: (site, source, model, saving, schema). ``source`` is the compiler or RawQuery,
``saving`` the object whose ``save()`` it is, ``schema`` whether a schema editor sent it.
"""


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
"""The kinds of the files met so far: a plain dict, whose subscript Python specialises."""


def kind_of(file: str) -> int:
    """The kind of a file. Somebody may make up file names: what is known begins again at 20,000."""
    if (kind := _known.get(file)) is None:
        if len(_known) >= 20_000:
            _known.clear()
        kind = _known[file] = _class_of(file.replace("\\", "/"))
    return kind


def callsite(frame: FrameType | None) -> Site | None:
    """The innermost frame of the user's code from ``frame`` outwards, else of a library's."""
    template = library = None
    while frame is not None:
        code = frame.f_code
        try:
            kind = _known[code.co_filename]
        except KeyError:
            kind = kind_of(code.co_filename)
        if kind >= TEMPLATE:
            if kind == USER:
                return _site(frame, template)
            if kind == LIBRARY:
                library = library or frame
            elif kind == TEMPLATE and code is _RENDER:
                template = template or frame
            elif kind == THREAD and (site := _awaited(frame)) is not None:
                return site
        frame = frame.f_back
    if library is not None:
        return _site(library, template)
    return _template_site(template)


def origin(  # noqa: C901 - one loop, without calls, because it runs for every frame of every query
    frame: FrameType | None, *, callsites: bool = True
) -> Origin:
    """Where a query comes from, looking from ``frame`` outwards to the first frame of the user's."""
    source = model = saving = template = site = None
    schema = saved = False
    here, kind = frame, PYTHON
    while here is not None:
        code = here.f_code
        try:
            kind = _known[code.co_filename]
        except KeyError:
            kind = kind_of(code.co_filename)
        if kind >= COMPILER:
            if kind == USER:
                if source is None and code.co_name in _CURSOR_METHODS:
                    cursor, source = _user_database(here)
                    if cursor or source is not None:
                        if site is None and callsites:
                            site = _site(here, template)
                        here = here.f_back
                        continue
                break
            if kind == COMPILER:
                if source is None and code.co_name == "execute_sql":
                    source = _compiler(here)
            elif kind == MODEL:
                if not saved and code.co_name == "_save_table":
                    saving, saved = here.f_locals.get("self"), True
            elif kind == TEMPLATE:
                if template is None and code is _RENDER:
                    template = here
            elif kind == SCHEMA:
                schema = True
            elif kind == RAW:
                if source is None and code.co_name == "_execute_query":
                    source = here.f_locals.get("self")
            elif kind == LIBRARY:
                saved = True  # a library's own query while an object is saved is not that save()
                if source is None and code.co_name == "execute_sql":
                    source = _compiler(here)
            else:  # THREAD
                break
        here = here.f_back
    if source is None:
        saving = None
    else:
        model = getattr(getattr(source, "query", None), "model", None)
        if model is None:  # a RawQuery does not know its model
            model = _model_of_raw(frame, here)
    if callsites and site is None:
        site = callsite(frame) if here is None or kind != USER else _site(here, template)
    return site, source, model, saving, schema


def is_own(frame: FrameType | None) -> bool:
    """Whether the toolbar's store is at work in ``frame``, or further out up to the user's code."""
    while frame is not None:
        kind = kind_of(frame.f_code.co_filename)
        if kind == USER:
            return False
        if kind == OWN:
            return True
        frame = frame.f_back
    return False


def _compiler(frame: FrameType) -> Any:
    """The compiler whose ``execute_sql()`` runs in ``frame``, unless it is still putting its SQL together."""
    names = frame.f_locals
    if "sql" not in names and "sql" in frame.f_code.co_varnames:
        return None  # a field or function of its query sends a query of its own
    me = names.get("self")
    return me if issubclass(type(me), SQLCompiler) else None


def _user_database(frame: FrameType) -> tuple[bool, Any]:
    """(whether it is a cursor class, the compiler) where ``frame`` is of a backend in the project itself."""
    me = frame.f_locals.get("self")
    return issubclass(type(me), CursorWrapper), me if issubclass(type(me), SQLCompiler) else None


def _model_of_raw(frame: FrameType | None, end: FrameType | None) -> Any:
    """The model of ``Model.objects.raw()``, whose iterable or queryset is at work between two frames."""
    while frame is not None and frame is not end:
        if kind_of(frame.f_code.co_filename) == QUERYSET:
            me = frame.f_locals.get("self")
            return getattr(getattr(me, "queryset", me), "model", None)
        frame = frame.f_back
    return None


_latest: list[Site] = [("", 0, None)]
"""The site that was met last: a decision and its query, or the rounds of a loop, share the one object."""


def _site(frame: FrameType, template: FrameType | None) -> Site:
    """
    The site of ``frame``; where no template tag is known yet, with the innermost whose rendering leads to it.

    What calls a view renders nothing for it, and below are all the middlewares, twice as many frames.
    """
    outer = frame.f_back if template is None else None
    while outer is not None:
        code = outer.f_code
        if code is _RENDER:
            template = outer
            break
        if code is _VIEW or code is _ASYNC_VIEW:
            break
        outer = outer.f_back
    code, position = frame.f_code, frame.f_lasti
    line = None if template is None else _template_line(template)
    [site] = _latest
    if site[0] is not code or site[1] != position or site[2] != line:
        site = _latest[0] = (code, position, line)
    return site


def place(site: Site) -> tuple[str, int, str]:
    """(file, line, function) of a site."""
    code, position, _template = site
    if isinstance(code, str):
        return code, position, "<template>"
    lines = (line for start, end, line in code.co_lines() if start <= position < end)
    return code.co_filename, next(lines, None) or code.co_firstlineno, code.co_name


def _template_line(frame: FrameType) -> Template | None:
    """The template tag that ``frame``, a ``Node.render_annotated``, renders."""
    node = frame.f_locals.get("self")
    token, source = getattr(node, "token", None), getattr(node, "origin", None)
    if token is None or source is None:
        return None
    # Django's form widgets have SafeStrings for names, whose own str() is a SafeString again: JSON has none.
    return (str.__str__(str(source.template_name or source.name)), token.lineno)


def _template_site(frame: FrameType | None) -> Site | None:
    """Where nobody's Python is at work (a TemplateResponse that Django renders), the template's own line."""
    line = None if frame is None else _template_line(frame)
    if frame is None or line is None:
        return None
    return (str(frame.f_locals["self"].origin.name), line[1], line)


def _awaited(frame: FrameType) -> Site | None:
    """The user's line that awaits what the thread of ``frame`` does, where ``sync_to_async`` runs it."""
    if frame.f_code.co_name != "thread_handler":
        return None
    names = frame.f_locals
    arguments, loop = names.get("args"), names.get("loop")
    if not arguments or loop is None:
        return None
    return tasks.awaiting(arguments[0], loop, _user_line)


def _user_line(frame: FrameType) -> Site | None:
    """The site of ``frame`` if it is the user's."""
    return _site(frame, None) if kind_of(frame.f_code.co_filename) == USER else None
