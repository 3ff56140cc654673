"""
``dbroute import``: put exported traces into this store, losslessly.

The file is read twice: once to see that every trace in it can be imported, and only then to do so.
"""

from __future__ import annotations

import hashlib
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
from django.utils.translation import gettext_lazy, ngettext

from dbroute_panel.conf import panel_settings
from dbroute_panel.exports.reading import ReadError, read
from dbroute_panel.management.dbroute.console import Console
from dbroute_panel.management.dbroute.stored import opened
from dbroute_panel.management.dbroute.subcommand import DoesNotHold, Subcommand, UsageError, one_line
from dbroute_panel.records import Trace, dumps
from dbroute_panel.stores import Store, Summary


def arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", help=_("As 'dbroute export' wrote it (json, ndjson); '-' is stdin.")
    )


def run(console: Console, options: dict[str, Any]) -> None:
    name = str(options["file"])
    with opened() as store, readable(name) as file:
        before = store.count()
        new, known = look(console, name, file, store)
        most = panel_settings.MAX_TRACES
        if len(new) > most:
            raise DoesNotHold(
                _("%(name)s has %(count)d new traces, and the store keeps %(most)d: raise MAX_TRACES.")
                % {"name": name, "count": len(new), "most": most}
            )
        save(console, file, store, new)
        gone = before + len(new) - store.count()
    text = [
        ngettext("%(count)d trace imported", "%(count)d traces imported", len(new)) % {"count": len(new)},
    ]
    if known:
        text.append(
            ngettext("%(count)d was there already", "%(count)d were there already", known) % {"count": known}
        )
    if gone > 0:
        text.append(
            ngettext("%(count)d older one had to go", "%(count)d older ones had to go", gone)
            % {"count": gone}
        )
    console.line(", ".join(text) + ".")


@contextmanager
def readable(name: str) -> Iterator[IO[bytes]]:
    """The file, as one that can be read twice. Raises ``UsageError``."""
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
            % {"name": name, "error": one_line(error.strerror or error)}
        ) from error


def look(console: Console, name: str, file: IO[bytes], store: Store) -> tuple[set[str], int]:
    """The ids of the traces that are new here, and how many are not. Raises if one cannot be imported."""
    seen: dict[str, bytes] = {}
    new: set[str] = set()
    others: list[str] = []
    file.seek(0)
    try:
        for trace in watched(console, file):
            check_time(name, trace)
            body = hashlib.sha256(dumps(trace)).digest()
            if (twin := seen.get(trace.id)) is None:
                seen[trace.id] = body
                here = store.get(trace.id)
                if here is None:
                    new.add(trace.id)
                    continue
                twin = hashlib.sha256(dumps(here)).digest()
            if twin != body:
                others.append(trace.id)
    except ReadError as error:
        raise UsageError(f"{name}: {error}") from error
    if others:
        message = ngettext(
            "Nothing was imported: there is another trace with the id %(ids)s.",
            "Nothing was imported: there are other traces with the ids %(ids)s.",
            len(others),
        )
        shown = ", ".join(others[:5]) + (" …" if len(others) > 5 else "")
        raise DoesNotHold(message % {"ids": shown})
    if not seen:
        raise UsageError(_("%(name)s has no traces.") % {"name": name})
    return new, len(seen) - len(new)


def check_time(name: str, trace: Trace) -> None:
    """A store could not sort a trace that says no time zone. Raises ``UsageError``."""
    try:
        Summary.of(trace).started_us  # noqa: B018
    except ValueError as error:
        raise UsageError(f"{name}: {trace.id}: started_at: {error}.") from error


def save(console: Console, file: IO[bytes], store: Store, new: set[str]) -> None:
    """Save those that are new; all of them, or none if one cannot be saved."""
    saved: set[str] = set()
    file.seek(0)
    try:
        for trace in watched(console, file):
            if trace.id in new and trace.id not in saved:
                saved.add(trace.id)
                store.save(trace, imported=True)
    except BaseException:
        store.delete(saved)
        raise


def watched(console: Console, file: IO[bytes]) -> Iterator[Trace]:
    """The traces of ``file``; on a terminal one sees how far it has come."""
    size = os.fstat(file.fileno()).st_size
    for trace in read(file):
        console.progress(file.tell() // 1024, size // 1024, "kB")
        yield trace


SUBCOMMAND = Subcommand(
    name="import",
    help=gettext_lazy("Put exported traces into this store."),
    arguments=arguments,
    run=run,
)
