"""
Who is calling: the user's line, and the compiler or the ``save()`` that a query comes from.

One walk up the frames answers both. The first frame that is the user's ends the search for compiler
and ``save()``: what lies beyond it did not send this query by itself.

Most queries need no walk of their own (``sent_at_once()``).
"""

from __future__ import annotations

import sys
from types import CodeType, FrameType
from typing import Any, Final

from django.db.backends.utils import CursorDebugWrapper, CursorWrapper
from django.db.models.query import QuerySet
from django.db.models.sql.compiler import SQLCompiler

from dbroute_panel.recording.carrier import Carrier, decision_behind
from dbroute_panel.recording.files import (
    COMPILER,
    LIBRARY,
    MODEL,
    OF_ORIGINS,
    OF_SITES,
    OWN,
    PYTHON,
    QUERYSET,
    RAW,
    SCHEMA,
    TEMPLATE,
    USER,
    kind_of,
    meet,
)
from dbroute_panel.recording.sites import RENDER, Site, callsite, site_of

_CURSOR_METHODS = frozenset({"execute", "executemany", "callproc", "execute_sql"})
_QUERYSET_DB = QuerySet.db.fget.__code__  # type: ignore[attr-defined]
_EXECUTE_SQL = SQLCompiler.execute_sql.__code__
# How many frames above the execute wrapper the method is that made the compiler.
_DEPTHS: Final[dict[type, int]] = {CursorWrapper: 5, CursorDebugWrapper: 6}
_frame = sys._getframe

Origin = tuple[Site | None, Any, Any, int | None, Any, bool]
"""
Where a query comes from: (site, source, model, decision, saving, schema). ``source`` is the compiler or
RawQuery, ``decision`` the id of the decision whose answer it has, ``saving`` the object whose ``save()``
it is, ``schema`` whether a schema editor sent it.
"""


Asked = tuple[int, CodeType | None, int, int | None, Site | None]
"""
The decision that was made last: the ``id()`` and the code of the frame that asked, the decision's id, what
that was asked inside of, and its site. The frame itself is not kept: it would keep alive whatever it knows.
"""

NOBODY: Final[Asked] = (0, None, 0, None, None)


def sent_at_once(asked: Asked, trace: str, cursor: object) -> Any:
    """
    The compiler of the query that our caller, the execute wrapper, records, if it is that of ``asked``.

    Most queries follow their own decision within one method of a queryset. It asks, makes a compiler with the
    answer and calls its ``execute_sql()``, so it is the fourth frame from the wrapper. Such a query has the
    site of its decision, and nobody walks up to it a second time. That the id is not that of a later frame of
    the same method is what the compiler proves: its alias carries the decision, and an answer gets out of
    these methods only by their queries, the first of which ends this.
    """
    depth = _DEPTHS.get(type(cursor))
    if depth is None:
        return None
    frame_id, code, decision, _parent, _site = asked
    try:
        if id(frame := _frame(depth)) != frame_id or frame.f_code is not code:
            return None
        if (frame := _frame(depth - 1)).f_code is not _EXECUTE_SQL:
            return None
    except ValueError:  # the stack is not as deep
        return None
    compiler = frame.f_locals["self"]
    using = compiler.using
    if type(using) is Carrier and using.decision == decision and using.trace == trace:
        return compiler
    return None


def asked_at(frame: FrameType, decision: int, parent: int | None) -> Asked:
    """Where a decision is made whose question ``frame`` puts to the router."""
    if frame.f_code is _QUERYSET_DB and frame.f_back is not None:
        frame = frame.f_back  # QuerySet.db has returned when the query is sent
    here: Any = frame
    known = OF_SITES
    try:
        while not (kind := known[here.f_code.co_filename]):
            here = here.f_back
    except (KeyError, AttributeError):
        kind = PYTHON  # not met before, or that was the outermost
    return id(frame), frame.f_code, decision, parent, site_of(here, None) if kind == USER else callsite(frame)


def origin(  # noqa: C901 - one loop, because it runs for every frame
    frame: FrameType | None, trace: str, *, callsites: bool = True
) -> Origin:
    """Where a query of the trace ``trace`` comes from, from ``frame`` outwards to the user's first frame."""
    source = model = decision = saving = template = site = None
    schema = saved = False
    here: Any = frame
    kind, known = PYTHON, OF_ORIGINS
    while here is not None:
        try:
            while not (kind := known[here.f_code.co_filename]):
                here = here.f_back
        except KeyError:
            meet(here.f_code.co_filename)
            continue
        except AttributeError:
            break  # that was the outermost
        if kind == MODEL:
            if not saved and here.f_code.co_name == "_save_table":
                saving, saved = here.f_locals.get("self"), True
        elif kind in (COMPILER, LIBRARY):
            if source is None and here.f_code.co_name == "execute_sql":
                source = _compiler(here)
            if kind == LIBRARY:
                saved = True  # a library's own query while an object is saved is not that save()
        elif kind == USER:
            if source is not None or here.f_code.co_name not in _CURSOR_METHODS:
                break
            cursor, source = _user_database(here)
            if not cursor and source is None:
                break
            if site is None and callsites:
                site = site_of(here, template)
        elif kind == TEMPLATE:
            if template is None and here.f_code is RENDER:
                template = here
        elif kind == SCHEMA:
            schema = True
        elif kind == RAW:
            if source is None and here.f_code.co_name == "_execute_query":
                source = here.f_locals.get("self")
        else:  # THREAD
            break
        here = here.f_back
    if source is None:
        saving = None
    else:
        decision = decision_behind(getattr(source, "using", None), trace)
        try:
            model = source.query.model
        except AttributeError:  # a RawQuery does not know its model
            model = _model_of_raw(frame, here)
    if callsites and site is None:
        site = callsite(frame) if here is None or kind != USER else site_of(here, template)
    return site, source, model, decision, saving, schema


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
