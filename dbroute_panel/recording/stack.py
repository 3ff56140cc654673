"""
Which line of the user's code is at work, and which template tag? A walk up the frames from a given one.
"""

from __future__ import annotations

from types import CodeType, FrameType
from typing import Any

from django.template.base import Node

from dbroute_panel.recording import async_stack
from dbroute_panel.recording.frame_kinds import (
    HANDLER,
    OF_SITES,
    OF_TEMPLATES,
    TEMPLATE,
    THREAD,
    USER,
    classify_file,
    get_code,
    meet,
)
from dbroute_panel.recording.libraries import ASYNC_VIEW, VIEW, Libraries, ends_the_way

RENDER = get_code(Node.render_annotated)

Template = tuple[str, int]
"""(name, line) of a template tag."""

Site = tuple[CodeType | str, int, Template | None, str | None]
"""
(code, instruction, template, entry): the number of the line is found out when it is wanted (``place()``).
Where no Python but Django's is at work, (file of the template, line, template, entry). ``entry`` is None at a
line of the user's; at one of a library's what Django had called, as ``GET admin:index``, or "".
"""


def find_callsite(  # noqa: C901 - one loop, because it runs for every frame
    frame: FrameType | None,
) -> Site | None:
    """
    The innermost frame of the user's code from ``frame`` outwards, else of a library's.

    It is looked for up to where Django calls a view, a middleware or a command.
    """
    template = None
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
        if kind == TEMPLATE:
            if here.f_code is RENDER:
                template = template or here
        elif kind == THREAD:
            if (met := _awaited(here)) is not None:
                if met.site is not None:
                    return met.site
                if met.ended:
                    break
        elif kind == HANDLER and ends_the_way(here):
            break
        here = here.f_back
    return _library_site(frame)


def _library_site(frame: FrameType | None) -> Site | None:
    """The site of ``frame``, from which no line of the user's is found: of a library, else of a template."""
    libraries = Libraries()
    template = meet_libraries(frame, libraries)
    if (found := libraries.line()) is None:
        return _template_site(template, libraries.entry)
    site: Site = *found, template and _template_line(template), libraries.entry
    [latest] = _latest_library
    if site[0] is latest[0] and site[1:] == latest[1:]:
        return latest
    _latest_library[0] = site
    return site


def meet_libraries(frame: FrameType | None, libraries: Libraries) -> FrameType | None:
    """Let ``libraries`` meet what there is from ``frame`` outwards; the innermost rendering of a template."""
    template, here = None, frame
    while here is not None and not libraries.meet(here):
        kind = classify_file(here.f_code.co_filename)
        if kind == TEMPLATE and here.f_code is RENDER:
            template = template or here
        elif kind == THREAD and (met := _awaited(here)) is not None:
            libraries.go_on(met.libraries)
            if met.ended:
                break
        here = here.f_back
    return template


_latest: list[Site] = [("", 0, None, None)]
"""The site that was met last: a decision and its query, or the rounds of a loop, share the one object."""

_latest_library: list[Site] = [("", 0, None, "")]
"""The same for the lines of libraries."""


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
    site = _latest[0] = (code, position, line, None)
    return site


def place(site: Site) -> tuple[str, int, str]:
    """(file, line, function) of a site."""
    code, position = site[:2]
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


def _template_site(frame: FrameType | None, entry: str) -> Site | None:
    """Where nobody's Python is at work (a TemplateResponse that Django renders), the template's own line."""
    line = None if frame is None else _template_line(frame)
    if frame is None or line is None:
        return None
    file = str(frame.f_locals["self"].origin.name)
    return (file, line[1], line, None if classify_file(file) == USER else entry)


class _Awaiting:
    """What awaits a thread's work, from the innermost coroutine on: the user's line, or libraries'."""

    def __init__(self) -> None:
        self.site: Site | None = None
        self.libraries = Libraries()
        self.ended = False

    def meet(self, frame: FrameType) -> _Awaiting | None:
        """Itself, as soon as nothing further out matters."""
        if classify_file(frame.f_code.co_filename) == USER:
            self.site = site_of(frame, None)
            return self
        self.ended = self.libraries.meet(frame)
        return self if self.ended else None


def _awaited(frame: FrameType) -> _Awaiting | None:
    """What awaits the work of the thread that ``frame`` is of, where ``sync_to_async`` runs it."""
    if frame.f_code.co_name != "thread_handler":
        return None
    names = frame.f_locals
    arguments, loop = names.get("args"), names.get("loop")
    if not arguments or loop is None:
        return None
    awaiting = _Awaiting()
    return async_stack.awaiting(arguments[0], loop, awaiting.meet, awaiting)
