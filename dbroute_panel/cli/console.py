"""
Where does a subcommand write to? Its answer to ``stdout``, everything else to ``stderr``.

Aligned and cut to its width on a terminal, whole in a pipe; coloured only on a terminal or by
``--force-color``.
"""

from __future__ import annotations

import codecs
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, NoReturn

from django.core.management import BaseCommand
from django.core.management.color import no_style

from dbroute_panel.cli.text import Piece, cells, columns, encodable, painted

CLOSED_PIPE: Final = 141
"""The exit code of a program whose reader has gone (128 + SIGPIPE), as the shell knows it."""

PATIENCE: Final = 0.5
"""Progress is shown of what takes longer, in seconds."""


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
        self._next = time.monotonic() + PATIENCE

    def line(self, *pieces: Piece) -> None:
        """One line, which begins and ends nothing else."""
        text = "".join(painted(piece, self.style) for piece in pieces)
        self._write(encodable(text.rstrip(), self._encoding) + "\n")

    def lines(self, text: str, indent: str = "") -> None:
        """A text of several lines, such as a traceback."""
        for line in text.splitlines():
            self.line(f"{indent}{line}")

    def table(
        self,
        rows: Sequence[Sequence[Piece]],
        *,
        right: Sequence[int] = (),
        flexible: Sequence[int] = (),
        indent: str = "",
    ) -> None:
        """``rows`` as aligned columns; see ``columns()``."""
        width = None if self.width is None else self.width - len(indent)
        for line in columns(rows, right=right, flexible=flexible, width=width):
            self.line(indent, *line)

    def json(self, value: Any) -> None:
        """``value`` as JSON that can be read by a person: valid in any encoding, harmless to a terminal."""
        text = json.dumps(value, indent=2, ensure_ascii=False)
        if encodable(text, self._encoding) != text or not all(map(str.isprintable, text.split("\n"))):
            text = json.dumps(value, indent=2)
        self._write(text + "\n")

    def bytes(self, pieces: Iterable[bytes]) -> None:
        """UTF-8 as it is, whatever the terminal's own encoding."""
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
            self.closed()

    def note(self, text: str, *, always: bool = False) -> None:
        """One line beside the answer, on ``stderr``; with ``-v 0`` only what is said ``always``."""
        if self.verbosity or always:
            self.clear()
            note = encodable(painted(text, no_style()), self._stderr_encoding)
            self.stderr.write(note, style_func=str)

    def progress(self, done: int, total: int | None, what: str) -> None:
        """Say how far long work has come: on a terminal only, on one line that is cleared at the end."""
        now = time.monotonic()
        if not self.verbosity or now < self._next or not self.stderr.isatty():
            return
        self._next = now + 0.1
        share = f" {100 * done // total}%" if total else ""
        text = encodable(f"{done:,}{f' / {total:,}' if total else ''} {what}{share}", self._stderr_encoding)
        self._raw(f"\r{text}{' ' * (self._shown - cells(text))}")
        self._shown = cells(text)

    def clear(self) -> None:
        """Take the progress off the terminal."""
        if self._shown:
            self._raw(f"\r{' ' * self._shown}\r")
            self._shown = 0

    def flush(self) -> None:
        """Hand over what is still buffered, while a closed pipe can be told from an error."""
        self.clear()
        with suppress(ValueError):  # somebody has closed the stream himself
            try:
                self.stdout.flush()
            except BrokenPipeError:
                self.closed()

    def closed(self) -> NoReturn:
        """The reader has seen enough: end, without a traceback and without more work."""
        out: Any = self.stdout
        if out._out is sys.stdout:
            # Python flushes it once more at exit, and would complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        raise SystemExit(CLOSED_PIPE)

    def _write(self, text: str) -> None:
        self.clear()
        try:
            self.stdout.write(text, style_func=str, ending="")
        except BrokenPipeError:
            self.closed()

    def _raw(self, text: str) -> None:
        self.stderr.write(text, style_func=str, ending="")
        self.stderr.flush()
