"""
Who is calling: the user's line, and the ``save()`` that a query comes from.

One walk up the frames answers both. It begins at what sends the query (``senders.py``), and the first frame
that is the user's ends it: what lies beyond did not send this query by itself.

Most queries need no walk of their own (``sent_at_once()``).
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any, Final

from django.db.backends.utils import CursorDebugWrapper, CursorWrapper
from django.db.models.query_utils import DeferredAttribute
from django.db.models.sql.compiler import SQLCompiler

from dbroute_panel.recording.answers import Asked
from dbroute_panel.recording.frame_kinds import (
    HANDLER,
    LIBRARY,
    MODEL,
    OF_ORIGINS,
    OWN,
    PYTHON,
    QUERYSET,
    SCHEMA,
    TEMPLATE,
    THREAD,
    USER,
    classify_file,
    get_code,
    meet,
)
from dbroute_panel.recording.recorder import Recorder
from dbroute_panel.recording.stack import RENDER, Site, find_callsite, site_of
from dbroute_panel.records import RouteKind

_EXECUTE_SQL = get_code(SQLCompiler.execute_sql)
# How many frames above the execute wrapper the compiler is at work.
_DEPTHS: Final[dict[type, int]] = {CursorWrapper: 4, CursorDebugWrapper: 5}
# Since Django 6.1: the objects of one queryset get a deferred field together.
_FETCH_MANY = get_code(getattr(DeferredAttribute, "fetch_many", None))
_frame = sys._getframe

Origin = tuple[Site | None, Any, int | None, Any, RouteKind | None]
"""
Where a query comes from: (site, model, decision, saving, told). ``decision`` is the id of the decision whose
answer its compiler or RawQuery has, ``saving`` the object whose ``save()`` it is, and ``told`` the route of a
query that a schema editor sends, or that gets a deferred field for several objects.
"""


def sent_at_once(asked: Asked, cursor: object, answers: dict[int, int]) -> Any:
    """
    The compiler of the query that our caller, the execute wrapper, records, if it is that of ``asked``.

    Most queries follow their own decision within one method of a queryset. It asks, makes a compiler with the
    answer and calls its ``execute_sql()``, so that is the fourth frame from the wrapper. Such a query has the
    site of its decision, and nobody walks up to it a second time. That it is the same call of that method is
    what the compiler proves: its alias is the answer to the decision, and an answer gets out of these methods
    only by their queries, the first of which ends this.
    """
    try:
        frame = _frame(_DEPTHS[type(cursor)])
        if frame.f_code is _EXECUTE_SQL and frame.f_back.f_code is asked[0]:  # type: ignore[union-attr]
            names = frame.f_locals
            compiler = names["self"]
            if answers[id(compiler.using)] == asked[1] and names["cursor"] is cursor:
                return compiler
    except (KeyError, ValueError):  # another cursor or alias, or a stack that is not as deep
        pass
    return None


def origin(  # noqa: C901 - one loop, because it runs for every frame
    frame: FrameType | None, source: Any, recorder: Recorder
) -> Origin:
    """
    Where a query comes from, from ``frame`` outwards to the user's first frame.

    ``source`` is its compiler or RawQuery, which is at work in ``frame``; None where it has none.
    """
    model = decision = saving = template = site = None
    told = None
    saved = source is None
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
        if kind in (USER, THREAD, HANDLER):
            break
        if kind == MODEL:
            if not saved and here.f_code.co_name == "_save_table":
                saving, saved = here.f_locals.get("self"), True
        elif kind == LIBRARY:
            saved = True  # a library's own query while an object is saved is not that save()
        elif kind == TEMPLATE:
            if template is None and here.f_code is RENDER:
                template = here
        elif kind == SCHEMA and source is None:
            told = RouteKind.SCHEMA
        elif here.f_code is _FETCH_MANY and source is not None:
            told = RouteKind.PEERS
        here = here.f_back
    if source is not None:
        if told is not RouteKind.PEERS:
            decision = recorder.answers.get(id(getattr(source, "using", None)))
        try:
            model = source.query.model
        except AttributeError:  # a RawQuery does not know its model
            model = _model_of_raw(frame, here)
    if recorder.callsites:
        site = find_callsite(frame) if here is None or kind != USER else site_of(here, template)
    return site, model, decision, saving, told


def is_own(frame: FrameType | None) -> bool:
    """Whether the toolbar's store is at work in ``frame``, or further out up to the user's code."""
    while frame is not None:
        kind = classify_file(frame.f_code.co_filename)
        if kind == USER:
            return False
        if kind == OWN:
            return True
        frame = frame.f_back
    return False


def _model_of_raw(frame: FrameType | None, end: FrameType | None) -> Any:
    """The model of ``Model.objects.raw()``, whose iterable or queryset is at work between two frames."""
    while frame is not None and frame is not end:
        if classify_file(frame.f_code.co_filename) == QUERYSET:
            me = frame.f_locals.get("self")
            return getattr(getattr(me, "queryset", me), "model", None)
        frame = frame.f_back
    return None
