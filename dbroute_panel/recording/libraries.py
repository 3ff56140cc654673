"""
Find the line of a library where no line of the user's is at work.

Behind a library's generic view the innermost frame of the user's is a middleware, which knows nothing of the
query. The way out from a query ends where Django calls a view, a middleware or a command. Of what lies on it,
the line of the library that the view belongs to says most.
"""

from __future__ import annotations

import re
from types import CodeType, FrameType
from typing import Final

from django.core.handlers.base import BaseHandler
from django.core.management.base import BaseCommand
from django.http import HttpRequest
from django.views.debug import ExceptionReporter

from dbroute_panel.recording.frame_kinds import COMPILER, CONTRIB, HANDLER, LIBRARY, classify_file, get_code

VIEW = get_code(BaseHandler._get_response)  # type: ignore[attr-defined]
ASYNC_VIEW = get_code(BaseHandler._get_response_async)  # type: ignore[attr-defined]

_CALLERS: Final = frozenset(
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

Line = tuple[CodeType, int]
"""(code, instruction)."""


def ends_the_way(frame: FrameType) -> bool:
    """Whether ``frame``, of the kind HANDLER, is where Django calls a view, a middleware or a command."""
    return frame.f_code.co_name in _CALLERS


def entry_of(request: HttpRequest) -> str:
    """The method and URL name of a request, as ``GET admin:index``; "" where it has no URL pattern yet."""
    match = request.resolver_match
    return "" if match is None else f"{request.method} {match.view_name}"


class Libraries:
    """
    The lines of libraries on the way out from a query, met from the innermost frame on.

    No frame is kept: it would keep alive all that its variables hold.
    """

    def __init__(self) -> None:
        self.entry = ""
        self._view: str | None = None
        self._by_package: dict[str, Line] = {}
        self._innermost: Line | None = None
        self._within_contrib: Line | None = None
        self._contrib: Line | None = None
        self._sending: Line | None = None

    def meet(self, frame: FrameType, position: int | None = None) -> bool:
        """
        Take note of ``frame``, which is not the user's. Whether the way ends with it.

        ``position``: the instruction, where it is not the one that the frame is at now.
        """
        code = frame.f_code
        kind = classify_file(code.co_filename)
        line = code, frame.f_lasti if position is None else position
        if kind == LIBRARY:
            self._innermost = self._innermost or line
            self._by_package.setdefault(_package(code.co_filename), line)
        elif kind == CONTRIB:
            self._contrib = self._contrib or line
            self._within_contrib = self._innermost
        elif kind == COMPILER:  # what it has called puts together or sends a query, as a driver in Python
            self._sending = self._sending or self._innermost or self._contrib
            self._innermost = self._contrib = self._within_contrib = None
            self._by_package.clear()
        elif code is _COMMAND:
            command = type(frame.f_locals.get("self")).__module__
            self.entry = self.entry or f"manage.py {command.rpartition('.')[2]}"
        elif kind == HANDLER and code.co_name in _CALLERS:
            if code is _REPORT:
                self._contrib = self._contrib or line
            else:
                self._end(frame)
            return True
        return False

    def go_on(self, outer: Libraries) -> None:
        """Take note of all that ``outer``, to which the way leads on, has met."""
        for package, line in outer._by_package.items():
            self._by_package.setdefault(package, line)
        if outer._contrib is not None:
            self._within_contrib = outer._within_contrib or self._innermost
        self._innermost = self._innermost or outer._innermost
        self._contrib = self._contrib or outer._contrib
        self._sending = self._sending or outer._sending
        self.entry, self._view = self.entry or outer.entry, outer._view

    def line(self) -> Line | None:
        """
        The line that says most: of the view's own library, else of the innermost one, else of Django's apps.

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
            self.entry = self.entry or entry_of(request)
            if request.resolver_match is not None:
                self._view = request.resolver_match._func_path.partition(".")[0]
        elif (recorder := getattr(names.get("self"), "recorder", None)) is not None:  # of a Stream
            self.entry = self.entry or recorder.entry


def _package(file: str) -> str:
    found = _PACKAGE.match(file)
    return found[1] if found else file
