"""
Find the line of a library where no line of the user's is at work.

Behind a library's generic view the innermost frame of the user's is a middleware, which knows nothing of the
query. So a walk ends where Django calls a view, a middleware or a command. Of what lies before that, the line
of the library that the view belongs to says most.
"""

from __future__ import annotations

import re
from types import CodeType, FrameType
from typing import Final

from django.core.handlers.base import BaseHandler
from django.core.management.base import BaseCommand
from django.http import HttpRequest
from django.views.debug import ExceptionReporter

from dbroute_panel.recording.captured import CapturedCallsite
from dbroute_panel.recording.frame_kinds import FrameKind, classify_file, get_code

VIEW = get_code(BaseHandler._get_response)  # type: ignore[attr-defined]
ASYNC_VIEW = get_code(BaseHandler._get_response_async)  # type: ignore[attr-defined]

_BOUNDARIES: Final = frozenset(
    {
        *("_get_response", "_get_response_async"),  # of BaseHandler
        "inner",  # which convert_exception_to_response() makes, around the view and around each middleware
        "execute",  # of ManagementUtility
        *("_iterate", "_iterate_async", "_call_recorded"),  # of our Stream
        "get_traceback_data",  # of ExceptionReporter, which reads what is in the frames of others
    }
)
"""Functions in files of the kind HANDLER that call what is not theirs."""

_COMMAND = get_code(BaseCommand.execute)
_REPORT = get_code(ExceptionReporter.get_traceback_data)
_PACKAGE = re.compile(r".*[\\/](?:site|dist)-packages[\\/]([^\\/.]+)", re.DOTALL)

_Line = tuple[CodeType, int]  # its instruction


def is_boundary(frame: FrameType) -> bool:
    """Return whether Django calls a view, a middleware or a command in ``frame``, of the kind HANDLER."""
    return frame.f_code.co_name in _BOUNDARIES


def name_entry(request: HttpRequest) -> str:
    """Return the method and URL name, as ``GET admin:index``; "" where the request has no URL pattern yet."""
    match = request.resolver_match
    return "" if match is None else f"{request.method} {match.view_name}"


class LibraryLines:
    """
    The lines of libraries that a walk from a query has met so far.

    No frame is kept: it would keep alive all that its variables hold.
    """

    def __init__(self) -> None:
        self.entry = ""
        self._view: str | None = None
        self._by_package: dict[str, _Line] = {}
        self._innermost: _Line | None = None
        self._within_contrib: _Line | None = None
        self._contrib: _Line | None = None
        self._sending: _Line | None = None

    def meet(self, frame: FrameType, instruction: int | None = None) -> bool:
        """
        Take note of ``frame``, which is not the user's; return whether the walk ends with it.

        ``instruction``: where it is not the one that the frame is at now.
        """
        code = frame.f_code
        kind = classify_file(code.co_filename)
        line = code, frame.f_lasti if instruction is None else instruction
        if kind is FrameKind.LIBRARY:
            self._innermost = self._innermost or line
            self._by_package.setdefault(_find_package(code.co_filename), line)
        elif kind is FrameKind.CONTRIB:
            self._contrib = self._contrib or line
            self._within_contrib = self._innermost
        elif (
            kind is FrameKind.COMPILER
        ):  # what it has called puts together or sends a query, as a driver in Python
            self._sending = self._sending or self._innermost or self._contrib
            self._innermost = self._contrib = self._within_contrib = None
            self._by_package.clear()
        elif code is _COMMAND:
            command = type(frame.f_locals.get("self")).__module__
            self.entry = self.entry or f"manage.py {command.rpartition('.')[2]}"
        elif kind is FrameKind.HANDLER and code.co_name in _BOUNDARIES:
            if code is _REPORT:
                self._contrib = self._contrib or line
            else:
                self._end(frame)
            return True
        return False

    def extend(self, outer: LibraryLines) -> None:
        """Take note of all that ``outer``, of a walk that goes on further out, has met."""
        for package, line in outer._by_package.items():
            self._by_package.setdefault(package, line)
        if outer._contrib is not None:
            self._within_contrib = outer._within_contrib or self._innermost
        self._innermost = self._innermost or outer._innermost
        self._contrib = self._contrib or outer._contrib
        self._sending = self._sending or outer._sending
        self.entry, self._view = self.entry or outer.entry, outer._view

    def find_callsite(self, template: tuple[str, int] | None = None) -> CapturedCallsite | None:
        """Return the line that says most, as it is met while the tag ``template`` is rendered."""
        line = self._choose()
        return None if line is None else CapturedCallsite(*line, template, self.entry)

    def _choose(self) -> _Line | None:
        """
        Return the line of the view's own library, else of the innermost one, else of Django's apps.

        A library that only wraps a view of Django's, as tools that measure do, is none of these.
        """
        if self._view is not None:
            if (own := self._by_package.get(self._view)) is not None:
                return own
            if self._contrib is not None:
                return self._within_contrib or self._contrib
        return self._innermost or self._contrib or self._sending

    def _end(self, frame: FrameType) -> None:
        code, names = frame.f_code, frame.f_locals
        if code is VIEW or code is ASYNC_VIEW:
            request = names["request"]
            self.entry = self.entry or name_entry(request)
            if request.resolver_match is not None:
                self._view = request.resolver_match._func_path.partition(".")[0]
        elif (recorder := getattr(names.get("self"), "recorder", None)) is not None:  # of a Stream
            self.entry = self.entry or recorder.entry


def _find_package(file: str) -> str:
    found = _PACKAGE.match(file)
    return found[1] if found else file
