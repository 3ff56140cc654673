r"""
Reads the traces of an exported file one at a time, whatever the size of the file.

The file is cut into documents without parsing it: a document ends where its outermost brace is
closed, outside of strings. Each is then decoded and validated by itself. So a document is all that
is ever in memory, of an array as of lines, and a mistake is known by its line.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from typing import IO, Any, Final, NoReturn

import msgspec
from django.utils.translation import gettext as _

from dbroute_panel.records import SCHEMA, Decision, Event, Query, Trace, loads
from dbroute_panel.text import NotUTF8Error, require_utf8

CHUNK_BYTES: Final = 1 << 18

MAX_QUOTED_CHARACTERS: Final = 60
"""The length of a text of the file's in a message."""

MAX_DOCUMENT_BYTES: Final = 128 << 20
"""A larger document is no trace: one of 10,000 events has 6 MB."""

MIN_START: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
END_OF_STARTS: Final = dt.datetime(2262, 1, 1, tzinfo=dt.UTC)
"""With ``records.MAX_TIME_US`` it keeps nanoseconds since 1970 within 64 bits."""

MAX_STATUS: Final = 999
MIN_ANSWER: Final = -(2**63)
MAX_ANSWER: Final = 2**64 - 1
"""An answer of a router may be any integer that JSON can be written of."""

MAX_DEPTH: Final = 100
"""Levels of nesting; a trace has eight. How many can be decoded depends on the Python and its stack."""

SKIPPED_DEPTH: Final = 6
"""Levels that one match skips: the events, an event, its steps, a step, its source, a template."""

_TEXT = rb'"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+'


def _make_skip_pattern(depth: int) -> bytes:
    """Match anything on one line but what is nested deeper than ``depth``: skipping happens in C."""
    inner = rb"|[\[{]" + _make_skip_pattern(depth - 1) + rb"[\]}]" if depth else b""
    return rb'(?:[^"\[\]{}\n]++|' + _TEXT + b'"' + inner + rb")*+"


_SKIPPED, _SKIPPED_FLAT = re.compile(_make_skip_pattern(SKIPPED_DEPTH)), re.compile(_make_skip_pattern(0))
_UNFINISHED_TEXT = re.compile(_TEXT + rb"\\?+")
_SPACE = re.compile(rb"[ \t\r\n]*+")
_ID = re.compile(r"[0-9a-f]{32}")
_CONSTANT = re.compile(_TEXT + rb'"|(NaN|Infinity)')  # outside of texts
_BOM = b"\xef\xbb\xbf"


class ReadError(ValueError):
    """
    The file holds no traces, or a broken one.

    ``line`` counts from 1, and so does ``element``, the place in an array, or None; ``reason`` is what is
    wrong, without them.
    """

    def __init__(self, reason: str, *, line: int, element: int | None = None) -> None:
        names = {"line": line, "element": element, "reason": reason}
        where = _("Line %(line)d: %(reason)s") if element is None else None
        super().__init__((where or _("Element %(element)d (line %(line)d): %(reason)s")) % names)
        self.reason = reason
        self.line = line
        self.element = element


def read_traces(stream: IO[bytes] | IO[str]) -> Iterator[Trace]:
    """
    Yield the traces of a file in the format ``json`` (one document, or an array) or ``ndjson``.

    Raises ``ReadError`` at anything else; the traces before that have been yielded.
    """
    yield from _Reader(stream).read_all()


class _Reader:
    """``buffer`` from ``position`` on has been read of the file and is not yet used."""

    def __init__(self, stream: IO[Any]) -> None:
        self.stream = stream
        self.buffer = b""
        self.position = 0
        self.line = 1
        self.element: int | None = None
        self.ended = False

    def read_all(self) -> Iterator[Trace]:
        while len(self.buffer) < len(_BOM) and not self.ended:
            self.fill()
        if self.buffer.startswith(_BOM):
            self.position = len(_BOM)
        first = self.peek()
        if first == b"[":
            self.position += 1
            yield from self.read_array()
        elif first == b"{":
            yield from self.read_lines()
        elif first:
            self.fail(_("This is no exported trace: a JSON document or array of documents was expected."))

    def read_array(self) -> Iterator[Trace]:
        self.element = 1
        if self.peek() == b"]":
            self.position += 1
        else:
            while True:
                yield self.read_document(one_line=False)
                mark = self.peek()
                self.position += 1
                if mark == b"]":
                    break
                if mark != b",":
                    self.fail(_("After it, a comma or the end of the array was expected."))
                self.element += 1
        if self.peek():
            self.element = None
            self.fail(_("There is something after the end of the array."))

    def read_lines(self) -> Iterator[Trace]:
        """Yield one document, over any number of lines; or several, each on one."""
        start_line = self.line
        yield self.read_document(one_line=False)
        several = self.line == start_line
        while self.peek():
            if not several:
                self.fail(_("There is something after the end of the document."))
            yield self.read_document(one_line=True)

    def read_document(self, *, one_line: bool) -> Trace:
        if self.peek() != b"{":
            self.fail(_("A trace document was expected here."))
        start_line = self.line
        document = self.cut(one_line)
        return self.decode(document, start_line)

    def cut(self, one_line: bool) -> bytes:
        """Return the bytes of the document that begins here."""
        start_line, depth, here = self.line, 1, self.position + 1
        while depth:
            here = _match_end(
                _SKIPPED if depth <= MAX_DEPTH - SKIPPED_DEPTH else _SKIPPED_FLAT, self.buffer, here
            )
            mark = self.buffer[here : here + 1]
            if mark == b"{" or mark == b"[":  # nested deeper, or over several lines, or not all here yet
                depth += 1
                if depth > MAX_DEPTH:
                    self.fail(_("This is no trace document: it is nested too deeply."), line=start_line)
            elif mark == b"}" or mark == b"]":
                depth -= 1
            elif mark != b"\n":
                here = self.read_more(here, start_line)
                continue
            elif one_line:
                self.fail(_("The document that begins here is not complete."), line=start_line)
            else:
                self.line += 1
            here += 1
        document = self.buffer[self.position : here]
        self.position = here
        return document

    def read_more(self, here: int, start_line: int) -> int:
        """Read on in a document; return the place in the new buffer of what was at ``here``."""
        if here < len(self.buffer) and _match_end(_UNFINISHED_TEXT, self.buffer, here) < len(self.buffer):
            self.fail(_("A text in quotes has no end on its line, or holds a control character."))
        if self.ended:
            self.fail(_("The document that begins here is not complete."), line=start_line)
        if len(self.buffer) - self.position > MAX_DOCUMENT_BYTES:
            self.fail(_("The document that begins here is too large to be a trace."), line=start_line)
        here -= self.position
        self.fill()
        return here

    def peek(self) -> bytes:
        """Return the next byte that is no white space; empty at the end of the file."""
        while True:
            end = _match_end(_SPACE, self.buffer, self.position)
            self.line += self.buffer.count(b"\n", self.position, end)
            self.position = end
            if end < len(self.buffer) or self.ended:
                return self.buffer[end : end + 1]
            self.fill()

    def fill(self) -> None:
        """Drop what was used, and read as much as is left, so that the time stays linear."""
        rest = self.buffer[self.position :]
        chunk = self.stream.read(max(CHUNK_BYTES, len(rest)))
        self.ended = not chunk
        self.buffer = rest + (chunk.encode(errors="surrogatepass") if isinstance(chunk, str) else chunk)
        self.position = 0

    def decode(self, document: bytes, start_line: int) -> Trace:
        try:
            require_utf8(document)
            schema = msgspec.json.decode(document, type=_Head).schema
            if schema != SCHEMA:
                self.fail(_explain_schema(schema), line=start_line)
            trace = loads(document)
        except NotUTF8Error as error:
            self.fail(str(error), line=start_line + document.count(b"\n", 0, error.position))
        except msgspec.ValidationError as error:
            self.fail(_("This is no trace document: %(error)s") % {"error": error}, line=start_line)
        except msgspec.DecodeError as error:
            line = start_line + _count_lines_before_mistake(document)
            self.fail(_("This is no JSON: %(error)s") % {"error": error}, line=line)
        if not _ID.fullmatch(trace.id):
            self.fail(
                _("The id %(id)r is not 32 hexadecimal digits.") % {"id": _shorten(trace.id)}, line=start_line
            )
        if (reason := _find_mistake(trace)) is not None:
            broken = {"id": trace.id, "reason": reason}
            self.fail(_("The trace %(id)s: %(reason)s") % broken, line=start_line)
        return trace

    def fail(self, reason: str, *, line: int | None = None) -> NoReturn:
        raise ReadError(reason, line=line or self.line, element=self.element) from None


def _match_end(pattern: re.Pattern[bytes], buffer: bytes, start: int) -> int:
    """Return the end of the match of ``pattern`` at ``start``."""
    match = pattern.match(buffer, start)
    return match.end() if match else start


def _count_lines_before_mistake(document: bytes) -> int:
    """
    Return how many lines of a document that is no JSON come before the one with the mistake.

    msgspec has the place in its message only; the standard library has it as a number, except of the three
    constants that it takes for numbers. 0 is also returned where the place is not known.
    """
    try:
        json.loads(document.decode(), object_pairs_hook=len, parse_float=len, parse_int=len)
    except json.JSONDecodeError as error:
        return error.lineno - 1
    constants = (found.start() for found in _CONSTANT.finditer(document) if found[1])
    return document.count(b"\n", 0, next(constants, 0))


def _shorten(text: str) -> str:
    """Shorten a text of the file's for a message."""
    return text if len(text) <= MAX_QUOTED_CHARACTERS else f"{text[:MAX_QUOTED_CHARACTERS]}…"


class _Head(msgspec.Struct):
    """The part of a document that names its schema."""

    schema: str


def _explain_schema(schema: str) -> str:
    """Return the sentence about a schema that is not ours."""
    names = {"schema": _shorten(schema), "ours": SCHEMA}
    family, _slash, version = schema.partition("/")
    _ours, _slash, known = SCHEMA.partition("/")
    if family != _ours or not version.isdecimal() or len(version) > MAX_QUOTED_CHARACTERS:
        return _("This is no trace document: its schema is %(schema)r, not %(ours)r.") % names
    if int(version) > int(known):
        return (
            _("This is a %(schema)s document, which a newer dbroute_panel wrote; this one reads %(ours)s.")
            % names
        )
    return (
        _(
            "This is a %(schema)s document, which an earlier version of dbroute_panel wrote; "
            "this one reads %(ours)s. Record the trace again."
        )
        % names
    )


def _find_mistake(trace: Trace) -> str | None:
    """Return what no store can keep or no format can write of ``trace``, beyond the bounds of ``records``."""
    status = trace.request.status if trace.request else None
    if reason := _check_start(trace.started_at) or _check_range("request.status", status, 0, MAX_STATUS):
        return reason
    seen: set[int] = set()
    for event in trace.events:
        if event.id in seen:
            return _("event %(id)d: there is another event with this id.") % {"id": event.id}
        seen.add(event.id)
        for field, answer in _list_answers(event):
            if reason := _check_range(field, answer, MIN_ANSWER, MAX_ANSWER):
                return _("event %(id)s: %(reason)s") % {"id": event.id, "reason": reason}
    return None


def _check_start(started_at: str) -> str | None:
    names = {"time": started_at[:MAX_QUOTED_CHARACTERS]}
    try:
        started = dt.datetime.fromisoformat(started_at)
    except ValueError:
        return _("the trace's started_at, %(time)r, is no time as in RFC 3339.") % names
    if started.tzinfo is None:
        return _("the trace's started_at, %(time)r, has no time zone.") % names
    if not MIN_START <= started < END_OF_STARTS:
        return _("the trace's started_at, %(time)r, is not in the years from 1970 to 2261.") % names
    return None


def _check_range(field: str, value: object, least: int, most: int) -> str | None:
    """Return what is wrong with ``value`` if it is an integer; only those can be too large."""
    if not isinstance(value, int) or least <= value <= most:
        return None
    try:
        text = str(value)
    except ValueError:  # Python writes no integer of more than some thousand digits
        text = _("an integer of thousands of digits")
    names = {"field": field, "value": text if len(text) <= 40 else f"{text[:30]}…"}
    return _("%(field)s is %(value)s, and not from %(least)d to %(most)d.") % {
        **names,
        "least": least,
        "most": most,
    }


def _list_answers(event: Event) -> Iterator[tuple[str, object]]:
    """Yield the fields that are integers or something else, for which msgspec has no bounds so large."""
    if isinstance(event, Decision):
        yield "answer", event.answer
        for number, step in enumerate(event.steps):
            yield f"steps[{number}].answer", step.answer
    elif isinstance(event, Query):
        yield "error_code", event.error_code
