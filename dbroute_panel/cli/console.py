"""
Write the output of a subcommand: its answer to ``stdout``, everything else to ``stderr``.

On a terminal, columns are cut to its width; in a pipe they are whole. Colours are for terminals and
``--force-color``. Recorded text is untrusted: control characters in it are escaped, so that no name and no
SQL can send a sequence to the terminal.
"""

from __future__ import annotations

import codecs
import json
import os
import shutil
import sys
import time
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple, NoReturn

from django.core.management import BaseCommand
from django.core.management.color import Style, no_style

CLOSED_PIPE_EXIT_CODE: Final = 141
"""The exit code of a program whose reader has gone (128 + SIGPIPE), as shells report it."""

PROGRESS_DELAY_SECONDS: Final = 0.5
"""Progress is shown of work that takes longer."""

MIN_COLUMN_WIDTH: Final = 12
"""Minimum width of a column that is cut to fit the terminal."""

ASCII_SUBSTITUTES: Final = str.maketrans({"…": "...", "→": "->", "×": "x", "·": "-", "“": '"', "”": '"'})
"""Characters of our own texts that an encoding may lack."""


class Styled(NamedTuple):
    """``text`` in the colours of ``role``, one of Django's (``SUCCESS``, ``WARNING`` ...)."""

    text: str
    role: str


Piece = str | Styled


class Console:
    """The output of one command, with the options that every command has."""

    def __init__(self, command: BaseCommand, *, verbosity: int, force_color: bool = False) -> None:
        self.stdout = command.stdout
        self.stderr = command.stderr
        self.verbosity = verbosity
        self.style = command.style if force_color or self.stdout.isatty() else no_style()
        self.program: str = getattr(command, "program", "manage.py")
        self.from_command_line = bool(command._called_from_command_line)  # type: ignore[attr-defined]
        self.width = shutil.get_terminal_size().columns if self.stdout.isatty() else None
        self._encoding: str | None = getattr(self.stdout, "encoding", None)
        self._stderr_encoding: str | None = getattr(self.stderr, "encoding", None)
        self._shown = 0
        self._next = time.monotonic() + PROGRESS_DELAY_SECONDS

    def print(self, *pieces: Piece) -> None:
        """Print one line."""
        text = "".join(paint(piece, self.style) for piece in pieces)
        self._write(fit_encoding(text.rstrip(), self._encoding) + "\n")

    def print_lines(self, text: str, indent: str = "") -> None:
        """Print a text of several lines, such as a traceback."""
        for line in text.splitlines():
            self.print(f"{indent}{line}")

    def print_table(
        self,
        rows: Iterable[Sequence[Piece]],
        *,
        heads: Iterable[str] = (),
        right: Sequence[int] = (),
        flexible: Sequence[int] = (),
        indent: str = "",
    ) -> None:
        """Print ``rows`` as aligned columns, below ``heads`` if there are any; see ``align_columns()``."""
        width = None if self.width is None else self.width - len(indent)
        head = [Styled(name, "MIGRATE_LABEL") for name in heads]
        table = [head, *rows] if head else [*rows]
        for line in align_columns(table, right=right, flexible=flexible, width=width):
            self.print(indent, *line)

    def print_json(self, value: Any) -> None:
        """Print ``value`` as indented JSON that is valid in any encoding and harmless to a terminal."""
        text = json.dumps(value, indent=2, ensure_ascii=False)
        if fit_encoding(text, self._encoding) != text or not all(map(str.isprintable, text.split("\n"))):
            text = json.dumps(value, indent=2)
        self._write(text + "\n")

    def write_bytes(self, pieces: Iterable[bytes]) -> None:
        """Write UTF-8 unchanged, whatever the encoding of the terminal."""
        self.clear()
        raw = getattr(self.stdout, "buffer", None)
        decode = codecs.getincrementaldecoder("utf-8")().decode
        try:
            for piece in pieces:
                if raw is None:
                    self.stdout.write(decode(piece), ending="")
                else:
                    raw.write(piece)
            if raw is not None:
                raw.flush()
        except BrokenPipeError:
            self.exit_on_closed_pipe()

    def note(self, text: str, *, always: bool = False) -> None:
        """Print one line to ``stderr``; with ``-v 0`` only if ``always``."""
        if self.verbosity or always:
            self.clear()
            note = fit_encoding(paint(text, no_style()), self._stderr_encoding)
            self.stderr.write(note, style_func=str)

    def show_progress(self, done: int, total: int | None, what: str) -> None:
        """Show the progress of long work, on a terminal only, on one line that is cleared at the end."""
        now = time.monotonic()
        if not self.verbosity or now < self._next or not self.stderr.isatty():
            return
        self._next = now + 0.1
        share = f" {100 * done // total}%" if total else ""
        text = f"{done:,}{f' / {total:,}' if total else ''} {what}{share}"
        text = fit_encoding(text, self._stderr_encoding)
        self._write_stderr(f"\r{text}{' ' * (self._shown - get_width(text))}")
        self._shown = get_width(text)

    def clear(self) -> None:
        """Remove the progress from the terminal."""
        if self._shown:
            self._write_stderr(f"\r{' ' * self._shown}\r")
            self._shown = 0

    def flush(self) -> None:
        """Write what is still buffered, while a closed pipe can be told from an error."""
        self.clear()
        with suppress(ValueError):  # the stream has been closed
            try:
                self.stdout.flush()
            except BrokenPipeError:
                self.exit_on_closed_pipe()

    def exit_on_closed_pipe(self) -> NoReturn:
        """Exit without a traceback, because the reader has closed the pipe."""
        out: Any = self.stdout
        if out._out is sys.stdout:
            # Python flushes it once more at exit, and would complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        raise SystemExit(CLOSED_PIPE_EXIT_CODE)

    def _write(self, text: str) -> None:
        self.clear()
        try:
            self.stdout.write(text, style_func=str, ending="")
        except BrokenPipeError:
            self.exit_on_closed_pipe()

    def _write_stderr(self, text: str) -> None:
        self.stderr.write(text, style_func=str, ending="")
        self.stderr.flush()


def escape_control(text: str) -> str:
    """Return ``text`` on one line, with what a terminal might obey as an escape sequence."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else " " if char.isspace() and char != "\x85" else ascii(char)[1:-1]
        for char in text
    )


def fit_encoding(text: str, encoding: str | None) -> str:
    """Replace what ``encoding`` lacks by other characters or an escape sequence."""
    if not encoding:
        return text
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(ASCII_SUBSTITUTES).encode(encoding, "backslashreplace").decode(encoding)
    return text


def get_width(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def truncate(text: str, width: int) -> str:
    """Cut ``text`` to at most ``width`` columns."""
    if get_width(text) <= width:
        return text
    kept, room = "", width - 1
    for char in text:
        room -= get_width(char)
        if room < 0:
            break
        kept += char
    return f"{kept}…"


def paint(piece: Piece, style: Style) -> str:
    """Return ``piece`` as it is written, with its colours."""
    if isinstance(piece, Styled):
        text = escape_control(piece.text)
        return str(getattr(style, piece.role)(text)) if text else ""
    return escape_control(piece)


def get_text(piece: Piece) -> str:
    """Return ``piece`` without its role."""
    return piece.text if isinstance(piece, Styled) else piece


def align_columns(
    rows: Sequence[Sequence[Piece]],
    *,
    right: Sequence[int] = (),
    flexible: Sequence[int] = (),
    width: int | None = None,
) -> Iterator[list[Piece]]:
    """
    Pad the cells of ``rows`` to columns with two spaces between them, and none behind the last.

    Args:
        rows: The cells; rows may differ in length.
        right: The numbers of the columns that are aligned to the right.
        flexible: The numbers of the columns that are cut to fit ``width``, the widest first.
        width: Columns of the terminal; None (a pipe) cuts nothing.
    """
    texts = [[escape_control(get_text(piece)) for piece in row] for row in rows]
    count = max(map(len, texts), default=0)
    widths = [max(get_width(row[n]) for row in texts if n < len(row)) for n in range(count)]
    if width is not None:
        _shrink_columns(widths, [n for n in flexible if n < count], width - 2 * (count - 1))
    for row, shown in zip(rows, texts, strict=True):
        line: list[Piece] = []
        for n, (piece, whole) in enumerate(zip(row, shown, strict=True)):
            text = truncate(whole, widths[n])
            space = " " * (widths[n] - get_width(text))
            last = n == len(row) - 1
            line += [
                space if n in right else "",
                Styled(text, piece.role) if isinstance(piece, Styled) else text,
                "" if last else f"  {space}" if n not in right else "  ",
            ]
        yield line


def _shrink_columns(widths: list[int], flexible: list[int], room: int) -> None:
    while sum(widths) > room and flexible:
        widest = max(flexible, key=lambda n: widths[n])
        if widths[widest] <= MIN_COLUMN_WIDTH:
            return
        widths[widest] -= 1
