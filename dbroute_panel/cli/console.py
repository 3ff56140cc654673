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

from dbroute_panel.cli.text import Piece, align_columns, fit_encoding, get_width, paint

CLOSED_PIPE_EXIT_CODE: Final = 141
"""The exit code of a program whose reader has gone (128 + SIGPIPE), as the shell knows it."""

PROGRESS_DELAY_SECONDS: Final = 0.5
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
        self._next = time.monotonic() + PROGRESS_DELAY_SECONDS

    def print(self, *pieces: Piece) -> None:
        """One line, which begins and ends nothing else."""
        text = "".join(paint(piece, self.style) for piece in pieces)
        self._write(fit_encoding(text.rstrip(), self._encoding) + "\n")

    def print_lines(self, text: str, indent: str = "") -> None:
        """A text of several lines, such as a traceback."""
        for line in text.splitlines():
            self.print(f"{indent}{line}")

    def print_table(
        self,
        rows: Sequence[Sequence[Piece]],
        *,
        right: Sequence[int] = (),
        flexible: Sequence[int] = (),
        indent: str = "",
    ) -> None:
        """``rows`` as aligned columns; see ``columns()``."""
        width = None if self.width is None else self.width - len(indent)
        for line in align_columns(rows, right=right, flexible=flexible, width=width):
            self.print(indent, *line)

    def print_json(self, value: Any) -> None:
        """``value`` as JSON that can be read by a person: valid in any encoding, harmless to a terminal."""
        text = json.dumps(value, indent=2, ensure_ascii=False)
        if fit_encoding(text, self._encoding) != text or not all(map(str.isprintable, text.split("\n"))):
            text = json.dumps(value, indent=2)
        self._write(text + "\n")

    def write_bytes(self, pieces: Iterable[bytes]) -> None:
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
            self.exit_on_closed_pipe()

    def note(self, text: str, *, always: bool = False) -> None:
        """One line beside the answer, on ``stderr``; with ``-v 0`` only what is said ``always``."""
        if self.verbosity or always:
            self.clear()
            note = fit_encoding(paint(text, no_style()), self._stderr_encoding)
            self.stderr.write(note, style_func=str)

    def show_progress(self, done: int, total: int | None, what: str) -> None:
        """Say how far long work has come: on a terminal only, on one line that is cleared at the end."""
        now = time.monotonic()
        if not self.verbosity or now < self._next or not self.stderr.isatty():
            return
        self._next = now + 0.1
        share = f" {100 * done // total}%" if total else ""
        text = fit_encoding(
            f"{done:,}{f' / {total:,}' if total else ''} {what}{share}", self._stderr_encoding
        )
        self._write_stderr(f"\r{text}{' ' * (self._shown - get_width(text))}")
        self._shown = get_width(text)

    def clear(self) -> None:
        """Take the progress off the terminal."""
        if self._shown:
            self._write_stderr(f"\r{' ' * self._shown}\r")
            self._shown = 0

    def flush(self) -> None:
        """Hand over what is still buffered, while a closed pipe can be told from an error."""
        self.clear()
        with suppress(ValueError):  # somebody has closed the stream himself
            try:
                self.stdout.flush()
            except BrokenPipeError:
                self.exit_on_closed_pipe()

    def exit_on_closed_pipe(self) -> NoReturn:
        """The reader has seen enough: end, without a traceback and without more work."""
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
