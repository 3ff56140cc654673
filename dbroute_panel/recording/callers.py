"""
Who is calling: the user's line, and the compiler or the ``save()`` that a query comes from.

One walk up the frames answers both. The first frame that is the user's ends the search for compiler
and ``save()``: what lies beyond it did not send this query by itself.

Most queries need no walk of their own (``sent_at_once()``).
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any, Final

from django.db.backends.utils import CursorDebugWrapper, CursorWrapper
from django.db.models.sql.compiler import SQLCompiler

from dbroute_panel.recording.carrier import Asked, Carrier, decision_behind
from dbroute_panel.recording.files import (
    COMPILER,
    LIBRARY,
    MODEL,
    OF_ORIGINS,
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
_EXECUTE_SQL = SQLCompiler.execute_sql.__code__
# How many frames above the execute wrapper the compiler is at work.
_DEPTHS: Final[dict[type, int]] = {CursorWrapper: 4, CursorDebugWrapper: 5}
_frame = sys._getframe

Origin = tuple[Site | None, Any, Any, int | None, Any, bool]
"""
Where a query comes from: (site, source, model, decision, saving, schema). ``source`` is the compiler or
RawQuery, ``decision`` the id of the decision whose answer it has, ``saving`` the object whose ``save()``
it is, ``schema`` whether a schema editor sent it.
"""


def sent_at_once(asked: Asked, cursor: object) -> Any:
    """
    The compiler of the query that our caller, the execute wrapper, records, if it is that of ``asked``.

    Most queries follow their own decision within one method of a queryset. It asks, makes a compiler with the
    answer and calls its ``execute_sql()``, so it is the fourth frame from the wrapper. Such a query has the
    site of its decision, and nobody walks up to it a second time. That the id is not that of a later frame of
    the same method is what the compiler proves: its alias carries the decision, and an answer gets out of
    these methods only by their queries, the first of which ends this.
    """
    try:
        frame = _frame(_DEPTHS[type(cursor)])
        if frame.f_code is _EXECUTE_SQL:
            method: Any = frame.f_back
            if id(method) == asked[0] and method.f_code is asked[1]:
                compiler = frame.f_locals["self"]
                if type(using := compiler.using) is Carrier and using.asked is asked:
                    return compiler
    except (KeyError, ValueError):  # another cursor, or a stack that is not as deep
        pass
    return None


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
