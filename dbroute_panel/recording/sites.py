"""
Which line of the user's code is at work, and which template tag? A walk up the frames from a given one.
"""

from __future__ import annotations

from types import CodeType, FrameType
from typing import Any

from django.core.handlers.base import BaseHandler
from django.template.base import Node

from dbroute_panel.recording import tasks
from dbroute_panel.recording.files import (
    LIBRARY,
    OF_SITES,
    OF_TEMPLATES,
    TEMPLATE,
    THREAD,
    USER,
    kind_of,
    meet,
)

RENDER = Node.render_annotated.__code__
VIEW = BaseHandler._get_response.__code__  # type: ignore[attr-defined]
ASYNC_VIEW = BaseHandler._get_response_async.__code__  # type: ignore[attr-defined]

Template = tuple[str, int]
"""(name, line) of a template tag."""

Site = tuple[CodeType | str, int, Template | None]
"""
(code, instruction, template): what the line is, is found out when somebody wants to know (``place()``). Where
no Python of the user's is at work, (file of the template, line, template).
"""


def callsite(frame: FrameType | None) -> Site | None:
    """The innermost frame of the user's code from ``frame`` outwards, else of a library's."""
    template = library = None
    here: Any = frame
    known = OF_SITES
    while here is not None:
        try:
            while not (kind := known[here.f_code.co_filename]):
                here = here.f_back
        except KeyError:
            meet(here.f_code.co_filename)
            continue
        except AttributeError:
            break  # that was the outermost
        if kind == USER:
            return site_of(here, template)
        if kind == LIBRARY:
            library = library or here
        elif kind == TEMPLATE and here.f_code is RENDER:
            template = template or here
        elif kind == THREAD and (site := _awaited(here)) is not None:
            return site
        here = here.f_back
    if library is not None:
        return site_of(library, template)
    return _template_site(template)


_latest: list[Site] = [("", 0, None)]
"""The site that was met last: a decision and its query, or the rounds of a loop, share the one object."""


def site_of(frame: FrameType, template: FrameType | None) -> Site:
    """
    The site of ``frame``; where no template tag is known yet, with the innermost whose rendering leads to it.

    What calls a view renders nothing for it, and below are all the middlewares, twice as many frames.
    """
    outer: Any = frame if template is None else None
    known = OF_TEMPLATES
    while outer is not None:
        try:
            while not known[(outer := outer.f_back).f_code.co_filename]:
                pass
        except KeyError:
            meet(outer.f_code.co_filename)
        except AttributeError:
            break  # that was the outermost
        code = outer.f_code
        if code is RENDER:
            template = outer
            break
        if code is VIEW or code is ASYNC_VIEW:
            break
    code, position = frame.f_code, frame.f_lasti
    line = None if template is None else _template_line(template)
    [site] = _latest
    if site[0] is code and site[1] == position and site[2] == line:
        return site
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
    return site_of(frame, None) if kind_of(frame.f_code.co_filename) == USER else None
