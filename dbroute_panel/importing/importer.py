"""
The import of exported traces into a store: all of a file, or none.

The file is read twice, a trace at a time: first to check that every trace in it can be imported, then to save
them.
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
from dbroute_panel.importing.reader import ReadError, read_traces
from dbroute_panel.records import Trace, dumps
from dbroute_panel.stores import Store, StoreError


class NotImportedError(Exception):
    """Nothing was imported; the message is one sentence for a person."""


class UnreadableError(NotImportedError):
    """The file holds no traces, or not only traces."""


class PartlyImportedError(StoreError):
    """The store failed, and failed again when what had been imported was to be deleted."""


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """The number of traces that are new, that were there already, and of older ones that were evicted."""

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


def import_traces(
    file: IO[bytes] | Any, store: Store, *, name: str, progress: Callable[[], None] = lambda: None
) -> Imported:
    """
    Save the traces of ``file``, marked as imported. Older traces are evicted only once all are saved.

    Args:
        file: In the format ``json`` or ``ndjson``; it is read twice.
        store: Where they are saved.
        name: The file's, for messages.
        progress: Called after each trace that was read.

    Raises:
        NotImportedError: The file cannot be imported. Nothing is.
        StoreError: The store cannot be written. Nothing is imported, unless it is a ``PartlyImportedError``.
    """
    before = store.count()
    new, known = _find_new(name, _read_traces(name, file, progress), store)
    _save_all(_read_traces(name, file, progress), store, new)
    with suppress(Exception):  # they are imported; what should go goes with the next trace
        store.evict()
    return Imported(new=len(new), known=known, gone=before + len(new) - store.count())


def _read_traces(name: str, file: Any, progress: Callable[[], None]) -> Iterator[Trace]:
    """Yield the traces of ``file``, from its start. Raises ``UnreadableError``."""
    file.seek(0)
    try:
        for trace in read_traces(file):
            progress()
            yield trace
    except ReadError as error:
        raise UnreadableError(f"{name}: {error}") from error


def _find_new(name: str, traces: Iterator[Trace], store: Store) -> tuple[set[str], int]:
    """Return the ids of the traces that are new here, and how many are not."""
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
                if len(new) > most:  # reported at once: a file may have any number of them
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


def _save_all(traces: Iterator[Trace], store: Store, new: set[str]) -> None:
    """Save the new traces; all of them, or none if one cannot be saved."""
    saved: set[str] = set()
    try:
        for trace in traces:
            if trace.id in new and trace.id not in saved:
                saved.add(trace.id)
                _save_one(trace, store)
    except BaseException as error:
        _undo(saved, store, error)
        raise


def _save_one(trace: Trace, store: Store) -> None:
    """Save it. Raises ``StoreError``, whatever went wrong: a store of the project's may raise anything."""
    try:
        store.save(trace, imported=True, evict=False)
    except StoreError:
        raise
    except Exception as error:
        names = {"id": trace.id, "error": f"{type(error).__name__}: {error}"}
        raise StoreError(_("The trace %(id)s cannot be kept: %(error)s.") % names) from error


def _undo(saved: set[str], store: Store, reason: BaseException) -> None:
    """Delete what was saved before ``reason``. Raises ``PartlyImportedError`` if that fails too."""
    try:
        store.delete(saved)
    except Exception as error:  # noqa: BLE001 - the first error is the one to tell
        if isinstance(reason, Exception):
            names = {"reason": reason, "error": error}
            raise PartlyImportedError(
                _("%(reason)s What had been imported until then could not be deleted: %(error)s") % names
            ) from reason
