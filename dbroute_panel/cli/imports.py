"""``dbroute import``: add exported traces to this store, without loss."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dbroute_panel.cli.console import Console
from dbroute_panel.cli.lookup import open_store
from dbroute_panel.cli.subcommand import CheckFailed, Subcommand, UsageError, join_lines
from dbroute_panel.importing.importer import NotImportedError, UnreadableError, import_traces


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", help=_("As 'dbroute export' wrote it (json, ndjson); '-' is stdin.")
    )


def run(console: Console, options: dict[str, Any]) -> None:
    name = str(options["file"])
    with open_store() as store, open_file(name) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            done = import_traces(
                file,
                store,
                name=name,
                progress=lambda: console.show_progress(file.tell() // 1024, size // 1024, "kB"),
            )
        except UnreadableError as error:
            raise UsageError(str(error)) from error
        except NotImportedError as error:
            raise CheckFailed(str(error)) from error
    console.print(done.text)


@contextmanager
def open_file(name: str) -> Iterator[IO[bytes]]:
    """Open the file so that it can be read twice. Raises ``UsageError``."""
    try:
        with sys.stdin.buffer if name == "-" else Path(name).expanduser().open("rb") as file:
            if file.seekable():
                yield file
                return
            with tempfile.TemporaryFile() as copy:
                shutil.copyfileobj(file, copy)
                yield copy
    except OSError as error:
        raise UsageError(
            _("%(name)s cannot be read: %(error)s.")
            % {"name": name, "error": join_lines(error.strerror or error)}
        ) from error


SUBCOMMAND = Subcommand(
    name="import",
    help=gettext_lazy("Put exported traces into this store."),
    arguments=add_arguments,
    run=run,
)
