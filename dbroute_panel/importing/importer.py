"""
How do exported traces come into a store? All of a file, or none; for the command and for the admin's page.

The file is read twice, a trace at a time: once to see that every trace in it can be imported, and only then
to do so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, Any

import msgspec
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dbroute_panel.conf import panel_settings
from dbroute_panel.importing.reader import ReadError, read
from dbroute_panel.records import Trace, dumps
from dbroute_panel.stores import Store, StoreError


class NotImportedError(Exception):
    """Nothing was imported; the message is one sentence for a person."""


class UnreadableError(NotImportedError):
    """The file holds no traces, or not only traces."""


class PartlyImportedError(StoreError):
    """The store failed, and failed again when what had been imported was to be deleted."""


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """How many traces are new, how many were there, and how many older ones had to make room."""

    new: int
    known: int
    gone: int

    @property
    def text(self) -> str:
        """One sentence."""
        new, known, gone = {"count": self.new}, {"count": self.known}, {"count": self.gone}
        parts = [ngettext("%(count)d trace imported", "%(count)d traces imported", self.new) % new]
        if self.known:
            parts.append(
                ngettext("%(count)d was there already", "%(count)d were there already", self.known) % known
            )
        if self.gone > 0:
            parts.append(
                ngettext("%(count)d older one had to go", "%(count)d older ones had to go", self.gone) % gone
            )
        return f"{', '.join(parts)}."


def put(
    file: IO[bytes] | Any, store: Store, *, name: str, progress: Callable[[], None] = lambda: None
) -> Imported:
    """
    Save the traces of ``file`` (``json``, ``ndjson``; it can be read twice), marked as imported.

    ``name`` is that of the file; ``progress`` is called after each trace that was read. Raises
    ``NotImportedError``, or ``StoreError`` if the store cannot be written to: nothing is imported then,
    except where a ``PartlyImportedError`` says so. Older traces make room only once all are saved.
    """
    before = store.count()
    new, known = _look(name, _traces(name, file, progress), store)
    _save(_traces(name, file, progress), store, new)
    with suppress(Exception):  # they are imported; what should go goes with the next trace
        store.evict()
    return Imported(new=len(new), known=known, gone=before + len(new) - store.count())


def _traces(name: str, file: Any, progress: Callable[[], None]) -> Iterator[Trace]:
    """The traces of ``file``, from its start. Raises ``UnreadableError``."""
    file.seek(0)
    try:
        for trace in read(file):
            progress()
            yield trace
    except ReadError as error:
        raise UnreadableError(f"{name}: {error}") from error


def _look(name: str, traces: Iterator[Trace], store: Store) -> tuple[set[str], int]:
    """The ids of the traces that are new here, and how many are not."""
    seen: dict[str, bytes] = {}
    new: set[str] = set()
    others: dict[str, None] = {}
    most = panel_settings.MAX_TRACES
    for trace in traces:
        body = hashlib.sha256(dumps(trace)).digest()
        if (twin := seen.get(trace.id)) is None:
            seen[trace.id] = body
            here = store.get(trace.id)
            if here is None:
                new.add(trace.id)
                if len(new) > most:  # said at once: a file may have any number of them
                    raise NotImportedError(
                        _("%(name)s has more new traces than the %(most)d that are kept: raise MAX_TRACES.")
                        % {"name": name, "most": most}
                    )
                continue
            twin = hashlib.sha256(dumps(here)).digest()
        if twin != body:
            others[trace.id] = None
    if others:
        message = ngettext(
            "Nothing was imported: there is another trace with the id %(ids)s.",
            "Nothing was imported: there are other traces with the ids %(ids)s.",
            len(others),
        )
        shown = ", ".join(list(others)[:5]) + (" …" if len(others) > 5 else "")
        raise NotImportedError(message % {"ids": shown})
    if not seen:
        raise UnreadableError(_("%(name)s has no traces.") % {"name": name})
    return new, len(seen) - len(new)


def _save(traces: Iterator[Trace], store: Store, new: set[str]) -> None:
    """Save those that are new; all of them, or none if one cannot be saved."""
    saved: set[str] = set()
    try:
        for trace in traces:
            if trace.id in new and trace.id not in saved:
                saved.add(trace.id)
                _keep(trace, store)
    except BaseException as error:
        _take_back(saved, store, error)
        raise


def _keep(trace: Trace, store: Store) -> None:
    """Save it. Raises ``StoreError``, whatever went wrong: a store of somebody else's may raise anything."""
    try:
        store.save(trace, imported=True, evict=False)
    except StoreError:
        raise
    except Exception as error:
        names = {"id": trace.id, "error": f"{type(error).__name__}: {error}"}
        raise StoreError(_("The trace %(id)s cannot be kept: %(error)s.") % names) from error


def _take_back(saved: set[str], store: Store, reason: BaseException) -> None:
    """Delete what was saved until ``reason`` came up. Raises ``PartlyImportedError`` if that fails too."""
    try:
        store.delete(saved)
    except Exception as error:  # noqa: BLE001 - the first error is the one to tell
        if isinstance(reason, Exception):
            names = {"reason": reason, "error": error}
            raise PartlyImportedError(
                _("%(reason)s What had been imported until then could not be deleted: %(error)s") % names
            ) from reason
