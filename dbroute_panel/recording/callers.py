"""
Who is calling: the user's line, and the compiler or the ``save()`` that a query comes from.

One walk up the frames answers both. A file is classed once and then looked up by its name
(hashing a code object would cost seven times as much). The first frame that is the user's ends the
search for compiler and ``save()``: what lies beyond it did not send this query by itself.
"""

from __future__ import annotations

import asyncio
import sysconfig
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import asgiref
import django
from django.template.base import Node

USER, FRAMEWORK, PYTHON, LIBRARY, COMPILER, RAW, QUERYSET, MODEL, SCHEMA, TEMPLATE, ASYNC = range(11)
"""
Kinds of file. FRAMEWORK is Django, asgiref, this package and the debug toolbar; LIBRARY is whatever
else is installed; PYTHON the standard library; the rest are files of Django that say more.
"""

DJANGO = str(Path(django.__file__).parent)
_toolbar = find_spec("debug_toolbar")
_FRAMEWORK = tuple(
    f"{Path(file).parent}/"
    for file in (django.__file__, asgiref.__file__, str(Path(__file__).parent), _toolbar and _toolbar.origin)
    if file
)
_SPECIAL = {
    f"{DJANGO}/db/models/sql/compiler.py": COMPILER,
    f"{DJANGO}/db/models/sql/query.py": RAW,
    f"{DJANGO}/db/models/query.py": QUERYSET,
    f"{DJANGO}/db/models/base.py": MODEL,
    f"{DJANGO}/template/base.py": TEMPLATE,
    f"{Path(asgiref.__file__).parent}/sync.py": ASYNC,
}
_PYTHON = tuple(f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib"))
_ROLES = {
    (COMPILER, "execute_sql"): "source",
    (LIBRARY, "execute_sql"): "source",  # a database backend's own compiler
    (RAW, "_execute_query"): "source",
    (QUERYSET, "__iter__"): "queryset",
    (QUERYSET, "columns"): "queryset",
    (MODEL, "_save_table"): "saving",
    (TEMPLATE, "render_annotated"): "template",
}
"""What a function of such a file is to a query; of each, the innermost frame counts."""

_RENDER = Node.render_annotated.__code__

_kinds: dict[str, int] = {}

Site = tuple[str, int, str, tuple[str, int] | None]
"""(file, line, function, template), where template is (name, line) or None."""


class Origin(NamedTuple):
    """Where a query comes from: its callsite, its compiler or RawQuery, its model, the object being saved."""

    site: Site | None
    source: Any
    model: Any
    saving: Any
    schema: bool


def _class_of(file: str) -> int:
    if (kind := _SPECIAL.get(file)) is not None:
        return kind
    if file.startswith(f"{DJANGO}/") and "/db/backends/" in file and file.endswith("/schema.py"):
        return SCHEMA
    if file.startswith(_FRAMEWORK):
        return FRAMEWORK
    if "/site-packages/" in file or "/dist-packages/" in file:
        return LIBRARY
    if file.startswith((*_PYTHON, "<frozen ")):
        return PYTHON
    return USER


def kind_of(file: str) -> int:
    """The kind of a source file, from its name."""
    if (kind := _kinds.get(file)) is None:
        kind = _kinds[file] = _class_of(file.replace("\\", "/"))
        if len(_kinds) > 20_000:  # somebody makes up file names; begin again rather than grow
            _kinds.clear()
    return kind


def callsite(frame: FrameType | None) -> Site | None:
    """The innermost frame of the user's code from ``frame`` outwards, else of a library's."""
    template = library = task = None
    while frame is not None:
        code = frame.f_code
        kind = _kinds.get(code.co_filename)
        if kind is None:
            kind = kind_of(code.co_filename)
        if kind == USER:
            return _user_site(frame, template)
        if kind == LIBRARY:
            library = library or frame
        elif kind == TEMPLATE and code is _RENDER:
            template = template or frame
        elif kind == ASYNC and code.co_name == "thread_handler":
            task = frame
        frame = frame.f_back
    frame = (task and _awaiting(task)) or library
    return frame and _user_site(frame, template)


def origin(frame: FrameType | None, *, callsites: bool = True) -> Origin:
    """Where a query comes from, looking from ``frame`` outwards to the first frame of the user's."""
    notable: dict[str, FrameType] = {}
    here = frame
    while here is not None:
        code = here.f_code
        kind = _kinds.get(code.co_filename)
        if kind is None:
            kind = kind_of(code.co_filename)
        if kind == USER:
            break
        if kind >= LIBRARY and (role := _ROLES.get((kind, code.co_name))) is not None:
            notable.setdefault(role, here)
        elif kind == SCHEMA:
            notable.setdefault("schema", here)
        here = here.f_back
    source, saving = _self(notable.get("source")), _self(notable.get("saving"))
    model = getattr(getattr(source, "query", None), "model", None)
    if model is None and source is not None:  # a RawQuery does not know its model; its queryset does
        queryset = _self(notable.get("queryset"))
        model = getattr(getattr(queryset, "queryset", queryset), "model", None)
    site: Site | None = None
    if callsites:
        site = callsite(frame) if here is None else _user_site(here, notable.get("template"))
    return Origin(site, source, model, saving if source is not None else None, "schema" in notable)


def _self(frame: FrameType | None) -> Any:
    return None if frame is None else frame.f_locals.get("self")


def _user_site(frame: FrameType, template: FrameType | None) -> Site:
    line = _template_line(template) if template is not None else _template_around(frame)
    return (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name, line)


def _template_line(frame: FrameType) -> tuple[str, int] | None:
    """(name, line) of the template tag that ``frame``, a ``Node.render_annotated``, renders."""
    node = frame.f_locals.get("self")
    token, source = getattr(node, "token", None), getattr(node, "origin", None)
    if token is None or source is None:
        return None
    return (str(source.template_name or source.name), token.lineno)


def _template_around(frame: FrameType) -> tuple[str, int] | None:
    """The template whose rendering called the user's code in ``frame``, or None."""
    outer = frame.f_back
    while outer is not None:
        if outer.f_code is _RENDER:
            return _template_line(outer)
        outer = outer.f_back
    return None


def _awaiting(handler: FrameType) -> FrameType | None:
    """
    The user's frame that awaits the work of this thread, where ``sync_to_async`` runs it.

    The thread's own stack ends in asgiref's ``thread_handler``, whose argument ``child`` is a local
    of the coroutine that waits for it: the task whose innermost coroutine has that very object is
    the one. It is suspended until this thread is done, so that its frames stand still.
    """
    arguments, loop = handler.f_locals.get("args"), handler.f_locals.get("loop")
    if not arguments or loop is None:
        return None
    for task in islice(asyncio.all_tasks(loop), 1000):
        found, coroutine = None, task.get_coro()
        while (frame := getattr(coroutine, "cr_frame", None)) is not None:
            if kind_of(frame.f_code.co_filename) == USER:
                found = frame
            elif kind_of(frame.f_code.co_filename) == ASYNC and frame.f_locals.get("child") is arguments[0]:
                return found
            coroutine = coroutine.cr_await  # type: ignore[union-attr]
    return None
