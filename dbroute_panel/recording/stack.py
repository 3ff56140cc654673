"""
Find the line of the user's code that is at work, and the template tag, by walking up the frames.

The walks begin at a given frame and go outwards. A line found is a ``CapturedCallsite``: its number and its
template are looked up later (``locate()``).
"""

from __future__ import annotations

from types import FrameType

from django.template.base import Node

from dbroute_panel.recording import async_stack
from dbroute_panel.recording.captured import CapturedCallsite
from dbroute_panel.recording.frame_kinds import FrameFilter, FrameKind, classify_file, get_code
from dbroute_panel.recording.libraries import ASYNC_VIEW, VIEW, LibraryLines, is_boundary

RENDER = get_code(Node.render_annotated)

# A member of an enum is found slowly by its class, and these are needed at every walk.
USER, TEMPLATE = FrameKind.USER, FrameKind.TEMPLATE

CALLSITES = FrameFilter(USER, FrameKind.LIBRARY, TEMPLATE, FrameKind.THREAD, FrameKind.HANDLER)
_TEMPLATES = FrameFilter(TEMPLATE, FrameKind.HANDLER)


def next_frame(frame: FrameType | None, stops: FrameFilter) -> FrameType | None:
    """Return the first frame from ``frame`` outwards at which ``stops`` stops; None beyond the outermost."""
    try:
        while stops[frame.f_code.co_filename] is None:  # type: ignore[union-attr]
            frame = frame.f_back  # type: ignore[union-attr]
    except AttributeError:  # raised by None, around the outermost frame
        if frame is not None:
            raise
    return frame


def find_callsite(  # noqa: C901 - few calls, because it runs for every decision
    frame: FrameType | None,
) -> CapturedCallsite | None:
    """
    Return the innermost line of the user's code from ``frame`` outwards, else of a library's.

    It is looked for up to where Django calls a view, a middleware or a command. The innermost template tag
    whose rendering leads to it is looked for up to the call of the view, which renders nothing for it.
    """
    global _latest
    template = tag = None
    here = frame
    while (here := next_frame(here, CALLSITES)) is not None:
        kind = CALLSITES[here.f_code.co_filename]
        if kind is USER:
            break
        if kind is TEMPLATE:
            if here.f_code is RENDER:
                template = template or here
        elif kind is FrameKind.THREAD:
            if (waiter := _find_waiter(here)) is not None:
                if waiter.callsite is not None:
                    return waiter.callsite
                if waiter.ended:
                    return _find_library_callsite(frame)
        elif kind is FrameKind.HANDLER and is_boundary(here):
            return _find_library_callsite(frame)
        here = here.f_back
    if here is None:
        return _find_library_callsite(frame)
    outer = template or here.f_back
    while outer is not None and (code := outer.f_code) is not VIEW and code is not ASYNC_VIEW:
        if code is RENDER:
            tag = _get_tag(outer)
            break
        outer = next_frame(outer.f_back, _TEMPLATES)
    known = _latest
    if known.code is here.f_code and known.instruction == here.f_lasti and known.template == tag:
        return known
    callsite = _latest = CapturedCallsite(here.f_code, here.f_lasti, tag)
    return callsite


_latest = CapturedCallsite(None, 0)
"""The callsite that was met last: a decision and its query, or the rounds of a loop, share one object."""


def find_libraries(frame: FrameType | None, libraries: LibraryLines) -> FrameType | None:
    """Show ``libraries`` all frames from ``frame`` outwards; return the innermost that renders a tag."""
    template, here = None, frame
    while here is not None and not libraries.meet(here):
        kind = classify_file(here.f_code.co_filename)
        if kind is TEMPLATE and here.f_code is RENDER:
            template = template or here
        elif kind is FrameKind.THREAD and (waiter := _find_waiter(here)) is not None:
            libraries.extend(waiter.libraries)
            if waiter.ended:
                break
        here = here.f_back
    return template


def is_of_store(frame: FrameType | None) -> bool:
    """Return whether the toolbar's store is at work in ``frame``, or further out up to the user's code."""
    here = next_frame(frame, _STORES)
    return here is not None and _STORES[here.f_code.co_filename] is FrameKind.STORE


_STORES = FrameFilter(USER, FrameKind.STORE)


def locate(callsite: CapturedCallsite) -> tuple[str, int, str]:
    """Return (file, line, function) of a callsite."""
    code, instruction = callsite.code, callsite.instruction
    if code is None:
        return callsite.file, callsite.template[1], "<template>"  # type: ignore[index]
    lines = (line for start, end, line in code.co_lines() if start <= instruction < end)
    return code.co_filename, next(lines, None) or code.co_firstlineno, code.co_name


def _find_library_callsite(frame: FrameType | None) -> CapturedCallsite | None:
    """Return the line of a library from ``frame`` outwards, else of a template, where none is the user's."""
    libraries = LibraryLines()
    template = find_libraries(frame, libraries)
    tag = None if template is None else _get_tag(template)
    if (found := libraries.find_callsite(tag)) is not None:
        return _share_library(found)
    if template is None or tag is None:
        return None
    # No Python is at work but Django's, as where it renders a TemplateResponse.
    file = str(template.f_locals["self"].origin.name)
    entry = None if classify_file(file) is USER else libraries.entry
    return CapturedCallsite(None, 0, tag, entry, file)


_latest_library = CapturedCallsite(None, 0)
"""The same as ``_latest`` for libraries."""


def _share_library(callsite: CapturedCallsite) -> CapturedCallsite:
    global _latest_library
    known = _latest_library
    # By identity: the code of two files may be equal.
    if known.code is not callsite.code or (known.instruction, known.template, known.entry) != (
        callsite.instruction,
        callsite.template,
        callsite.entry,
    ):
        _latest_library = known = callsite
    return known


def _get_tag(frame: FrameType) -> tuple[str, int] | None:
    """Return (template, line) of the tag that ``frame``, a ``Node.render_annotated``, renders."""
    node = frame.f_locals.get("self")
    token, source = getattr(node, "token", None), getattr(node, "origin", None)
    if token is None or source is None:
        return None
    # Django's form widgets have SafeStrings for names, whose own str() is a SafeString again: JSON has none.
    return (str.__str__(str(source.template_name or source.name)), token.lineno)


class _Waiter:
    """What awaits a thread's work, from the innermost coroutine on: the user's line, or libraries'."""

    def __init__(self) -> None:
        self.callsite: CapturedCallsite | None = None
        self.libraries = LibraryLines()
        self.ended = False

    def meet(self, frame: FrameType) -> _Waiter | None:
        """Take note of a frame; return itself as soon as nothing further out matters."""
        if classify_file(frame.f_code.co_filename) is USER:
            self.callsite = find_callsite(frame)
            return self
        self.ended = self.libraries.meet(frame)
        return self if self.ended else None


def _find_waiter(frame: FrameType) -> _Waiter | None:
    """Return what awaits the work of the thread that ``frame`` is of, where ``sync_to_async`` runs it."""
    if frame.f_code.co_name != "thread_handler":
        return None
    names = frame.f_locals
    arguments, loop = names.get("args"), names.get("loop")
    if not arguments or loop is None:
        return None
    waiter = _Waiter()
    return async_stack.find_waiting(arguments[0], loop, waiter.meet, waiter)
