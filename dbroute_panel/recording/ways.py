"""
The way from a method of Django's that asks the routers to the user's line that called it, remembered.

A loop goes the same way each time. That it is the same one is seen by the files of its frames, which are
looked at in C, in a fraction of the time of walking up to the line.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from types import CodeType, FrameType
from typing import Any, Final

from django.db.models.query import QuerySet

from dbroute_panel.recording.carrier import Asked
from dbroute_panel.recording.files import OF_SITES, OF_TEMPLATES, SILENT, USER
from dbroute_panel.recording.recorder import Recorder
from dbroute_panel.recording.sites import VIEW, Site, callsite, site_of

LONGEST: Final = 12
"""A way of more frames is walked each time: to look at frame n takes n steps."""

MOST: Final = 1000
"""So many ways are remembered: somebody may make up code."""

_QUERYSET_DB = QuerySet.db.fget.__code__  # type: ignore[attr-defined]
_frame = sys._getframe

Look = Callable[[FrameType], Any]

Way = tuple[Look, Any, int, Look, Site, CodeType]
"""
What looks at the files of its frames, what these are, how many frames further out the user's is, what looks
from there at the code that called the view, the site, and the code of the method, which is kept so that its
id stays its own.
"""

_ways: Final[dict[int, Way]] = {}
"""The way that was taken last from each method, by the id of its code."""


def asked_at(up: int, decision: int, parent: int | None, recorder: Recorder) -> Asked:
    """
    Where a decision is made whose question the frame ``up`` above ours puts to the router.

    The recorder remembers it, until a query is sent or the next decision is made.
    """
    if not recorder.callsites:
        return 0, None, decision, parent, None, recorder.trace_id
    frame: Any = _frame(up)
    code = frame.f_code
    if code is _QUERYSET_DB and (outer := frame.f_back) is not None:
        frame, code = outer, outer.f_code  # QuerySet.db has returned when the query is sent
        up += 1
    site: Site | None
    try:
        look, files, user, view_of, met, _code = _ways[id(code)]
        site = met
        if (
            look(frame) != files
            or (here := _frame(up + user)).f_code is not met[0]
            or here.f_lasti != met[1]
            or view_of(here) is not VIEW
        ):
            site = _walked(frame, code)
    except (KeyError, AttributeError, ValueError):  # a way not gone before, or not as many frames this time
        site = _walked(frame, code)
    asked = recorder.asked = (id(frame), code, decision, parent, site, recorder.trace_id)
    return asked


def _walked(frame: FrameType, code: CodeType) -> Site | None:
    """The site, found by walking; where the way is one that can be told by its files, it is remembered."""
    here: Any = frame
    user = 0
    try:
        while here.f_code.co_filename in SILENT:
            here = here.f_back
            user += 1
        if user == 0 or OF_SITES[here.f_code.co_filename] != USER:
            return callsite(frame)
        outer, view = here.f_back, user + 1
        while not OF_TEMPLATES[outer.f_code.co_filename]:
            outer = outer.f_back
            view += 1
    except (KeyError, AttributeError):  # a file that was not met before, or that was the outermost frame
        return callsite(frame)
    site = site_of(here, None)
    if outer.f_code is VIEW and view <= LONGEST:
        if len(_ways) >= MOST:
            _ways.clear()
        look, view_of = _looking(user, view)
        _ways[id(code)] = look, look(frame), user, view_of, site, code
    return site


@cache
def _looking(user: int, view: int) -> tuple[Look, Look]:
    """
    What looks at the files of the frames up to the one that called the view, and what at that one's code.

    Not at the file of the method's own frame, which its code tells, nor of the user's, which its site tells.
    """
    between = [up for up in range(1, view) if up != user] or [0]
    return (
        attrgetter(*(f"{'f_back.' * up}f_code.co_filename" for up in between)),
        attrgetter(f"{'f_back.' * (view - user)}f_code"),
    )
