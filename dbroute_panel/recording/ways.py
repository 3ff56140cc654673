"""
The way from a method of Django's that asks the routers to the user's line that called it, remembered.

A loop goes the same way each time. That it is the same one is seen by the code of its frames: to see that it
is what it was takes less than to find out what kind of file it is in.
"""

from __future__ import annotations

from types import CodeType, FrameType
from typing import Any, Final

from django.db.models.query import QuerySet

from dbroute_panel.recording.frame_kinds import BY_KINDS, OF_SITES, get_code
from dbroute_panel.recording.libraries import VIEW
from dbroute_panel.recording.recorder import Recorder
from dbroute_panel.recording.stack import RENDER, Site, find_callsite

MOST: Final = 1000
"""So many ways are remembered: somebody may make up code."""

_QUERYSET_DB = get_code(QuerySet.db.fget)  # type: ignore[attr-defined]

Way = tuple[tuple[CodeType, ...], Site, tuple[CodeType, ...], CodeType]
"""
The code of the frames from the method, which is not among them, to the user's line; the site; the code from
there to what called the view; and that of the method, which is kept so that its id stays its own.
"""

_ways: Final[dict[int, Way]] = {}
"""The way that was taken last from each method, by the id of its code."""
BY_KINDS.append(_ways)


def asked_at(frame: Any, decision_id: int, parent_id: int | None, recorder: Recorder) -> Site | None:
    """
    Where a decision is made whose question ``frame`` puts to the router.

    The recorder remembers who asked, until a query is sent or the next decision is made.
    """
    code = frame.f_code
    if code is _QUERYSET_DB and (outer := frame.f_back) is not None:
        frame, code = outer, outer.f_code  # QuerySet.db has returned when the query is sent
    if recorder.same_ways and (way := _ways.get(id(code))) is not None:
        inner, met, beyond, _code = way
        here = frame
        try:
            for each in inner:
                if (here := here.f_back).f_code is not each:
                    break
            else:
                if here.f_lasti == met[1]:
                    for each in beyond:
                        if (here := here.f_back).f_code is not each:
                            break
                    else:
                        recorder.asked = (code, decision_id, parent_id, met)
                        return met
        except AttributeError:  # this time there are not as many frames
            pass
    if not recorder.callsites:
        recorder.asked = None
        return None
    site = _walked(frame, code) if recorder.same_ways else find_callsite(frame)
    # Django's methods send the query that they have asked for. Whoever else asks by itself is at work at a
    # line of its own, and may send it at another one.
    recorder.asked = (code if OF_SITES.get(code.co_filename) == 0 else None, decision_id, parent_id, site)
    return site


def _walked(frame: FrameType, code: CodeType) -> Site | None:
    """The site, found by walking. The way is remembered, if it leads to a view and through no template."""
    site = find_callsite(frame)
    here: Any = frame
    inner, beyond = [], []
    while here is not None and OF_SITES.get(here.f_code.co_filename) == 0:
        here = here.f_back
        inner.append(here and here.f_code)
    if site is None or site[3] is not None or here is None or here is frame or here.f_code is not site[0]:
        return site  # a library's frame or a template is on the way, or there is none
    while here is not None and here.f_code is not VIEW:
        if here.f_code is RENDER:
            return site
        here = here.f_back
        beyond.append(here and here.f_code)
    if here is not None:
        if len(_ways) >= MOST:
            _ways.clear()
        _ways[id(code)] = tuple(inner), site, tuple(beyond), code
    return site
