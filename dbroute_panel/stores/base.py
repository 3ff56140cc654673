"""The interface of a store, which keeps finished traces, lists them, finds them and evicts old ones."""

from __future__ import annotations

import abc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import msgspec
from django.core.exceptions import ImproperlyConfigured

from dbroute_panel.conf import panel_settings
from dbroute_panel.masking.credentials import mask_credentials
from dbroute_panel.records import (
    Database,
    Decision,
    Dropped,
    Finding,
    Query,
    Request,
    SessionWrite,
    Trace,
    Transaction,
)

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class StoreError(Exception):
    """The store cannot do this now; the message is one sentence for a person, without credentials."""

    def __str__(self) -> str:
        return mask_credentials(super().__str__())


class LastRead:
    """
    A cache of the trace that was decoded last: decoding takes tens of milliseconds.

    A page reads its trace again for every row that is opened. Traces are never changed, so that the same
    bytes are the same trace. One trace is held, and none with more than ``MAX_EVENTS`` events.
    """

    MAX_EVENTS: Final = 20_000

    def __init__(self) -> None:
        self._held: tuple[bytes, Trace] | None = None

    def get(self, body: bytes, read: Callable[[bytes], Trace | None]) -> Trace | None:
        """Return the trace that ``body`` is; call ``read`` for other bytes than the last ones."""
        held = self._held
        if held is not None and held[0] == body:
            return held[1]
        trace = read(body)
        self._held = (body, trace) if trace is not None and len(trace.events) <= self.MAX_EVENTS else None
        return trace


class InvalidStoreError(ImproperlyConfigured):
    """``DBROUTE_PANEL["STORE"]`` names no store that can be made; ``hint`` is the next thing to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """
    A trace without its events, as a list shows it.

    ``queries``, ``decisions`` and ``transactions`` count the events; ``aliases`` has the number
    of queries per alias; ``imported`` says that the trace came from a file.
    """

    schema: Literal["dbroute-trace/2"]
    id: str
    name: str
    kind: Literal["request", "block", "command", "task"]
    started_at: str
    duration_us: float
    request: Request | None
    databases: dict[str, Database]
    routers: list[str]
    findings: list[Finding]
    dropped: Dropped
    queries: int
    decisions: int
    transactions: int
    aliases: dict[str, int]
    imported: bool
    session_writes: tuple[SessionWrite, ...] = ()

    @classmethod
    def from_trace(cls, trace: Trace, *, imported: bool = False) -> Summary:
        aliases = Counter([query.alias for query in trace.queries])
        kinds = Counter(map(type, trace.events))
        return cls(
            schema=trace.schema,
            id=trace.id,
            name=trace.name,
            kind=trace.kind,
            started_at=trace.started_at,
            duration_us=trace.duration_us,
            request=trace.request,
            databases=trace.databases,
            routers=trace.routers,
            findings=trace.findings,
            dropped=trace.dropped,
            queries=kinds[Query],
            decisions=kinds[Decision],
            transactions=kinds[Transaction],
            aliases=dict(aliases),
            imported=imported,
            session_writes=trace.session_writes,
        )

    @property
    def started_us(self) -> int:
        """Microseconds since 1970, to sort by. Raises ``ValueError`` if it is no RFC 3339 time."""
        started = datetime.fromisoformat(self.started_at)
        if started.tzinfo is None:
            raise ValueError(f"{self.started_at!r} has no time zone")
        return (started - EPOCH) // timedelta(microseconds=1)

    @property
    def status(self) -> int | None:
        """The status of the response; None if there was none."""
        return self.request.status if self.request else None

    @property
    def method(self) -> str | None:
        """The method of the request; None if there was none."""
        return self.request.method if self.request else None

    @property
    def search(self) -> str:
        """The text that ``Filter.path`` is searched in: the name and the path, case folded, a line each."""
        return f"{self.name}\n{self.request.path if self.request else ''}".casefold()


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """
    A selection of traces: those for which everything given holds.

    ``path`` is part of the request's path or of the trace's name, in any case; ``alias`` was
    queried; ``finding`` is a code; ``found``: whether there are findings at all; ``status`` is that of
    the response, ``method`` that of the request. ``min_us`` and ``min_queries`` are the least.
    """

    path: str | None = None
    alias: str | None = None
    finding: str | None = None
    found: bool | None = None
    kind: str | None = None
    status: int | None = None
    method: str | None = None
    min_us: int | None = None
    min_queries: int | None = None

    def matches(self, summary: Summary) -> bool:
        """Return whether the trace of ``summary`` is selected."""
        return (
            (self.path is None or self.path.casefold() in summary.search)
            and (self.alias is None or self.alias in summary.aliases)
            and (self.finding is None or any(f.code == self.finding for f in summary.findings))
            and (self.found is None or bool(summary.findings) is self.found)
            and (self.kind is None or self.kind == summary.kind)
            and (self.status is None or summary.status == self.status)
            and (self.method is None or self.method == summary.method)
            and (self.min_us is None or summary.duration_us >= self.min_us)
            and (self.min_queries is None or summary.queries >= self.min_queries)
        )


EVERYTHING: Final = Filter()


class Store(abc.ABC):
    """
    A place for finished traces. Making one must touch no file and no database.

    Lists are in order of ``started_at``. ``MAX_TRACES`` is kept by order of arrival, so that an
    old trace that is imported today can still be looked at; a trace saved again has just arrived.
    ``alias`` is the one of ``DATABASES`` that it needs, or None.
    """

    alias: str | None = None

    @abc.abstractmethod
    def save(self, trace: Trace, *, imported: bool = False, evict: bool = True) -> None:
        """
        Keep ``trace``, in place of one with the same id, and evict the oldest beyond ``MAX_TRACES``.

        Args:
            trace: A finished trace.
            imported: It came from a file.
            evict: False keeps the oldest, for a caller that saves several and then calls ``evict()``.

        Raises:
            StoreError: It cannot be kept.
            ValueError: ``started_at`` is no time.
        """

    @abc.abstractmethod
    def evict(self) -> None:
        """Delete the oldest traces beyond ``MAX_TRACES``. Raises ``StoreError``."""

    @abc.abstractmethod
    def get(self, trace_id: str) -> Trace | None:
        """Return the trace, or None if there is none with this id or the store cannot be read."""

    def summary(self, trace_id: str) -> Summary | None:
        """Return the summary of the trace, or None where ``get()`` returns None."""
        offset = 0
        while page := self.summaries(offset=offset):
            for found in page:
                if found.id == trace_id:
                    return found
            offset += len(page)
        return None

    @abc.abstractmethod
    def summaries(self, query: Filter = EVERYTHING, *, offset: int = 0, limit: int = 100) -> list[Summary]:
        """Return the traces that ``query`` selects, newest first; none if the store cannot be read."""

    @abc.abstractmethod
    def count(self, query: Filter = EVERYTHING) -> int:
        """Return the number of traces that ``query`` selects."""

    def codes(self) -> set[str]:
        """Return the codes of all findings of the kept traces."""
        kept = self.summaries(Filter(found=True), limit=panel_settings.MAX_TRACES)
        return {finding.code for summary in kept for finding in summary.findings}

    @abc.abstractmethod
    def traces(self, query: Filter = EVERYTHING) -> Iterator[Trace]:
        """Yield the full traces that ``query`` selects, oldest first, one at a time in memory."""

    @abc.abstractmethod
    def delete(self, trace_ids: Iterable[str]) -> int:
        """Delete these traces and return how many there were. Raises ``StoreError``."""

    @abc.abstractmethod
    def clear(self) -> int:
        """Delete all traces and return how many there were. Raises ``StoreError``."""

    def remember(self, name: str, document: bytes) -> None:
        """
        Keep ``document`` beside the traces, in place of one with this name; ``clear()`` leaves it.

        A store that does not override this keeps it for this process. Raises ``StoreError``.
        """
        self.__dict__.setdefault("_documents", {})[name] = document

    def recall(self, name: str) -> bytes | None:
        """Return what was kept by this name; None if there is nothing, or the store cannot be read."""
        kept: bytes | None = self.__dict__.get("_documents", {}).get(name)
        return kept

    def problem(self) -> str | None:
        """Return why nothing can be kept here now, in one sentence, or None. Changes nothing."""
        return None

    def close(self) -> None:
        """Close files and connections; the store can still be used afterwards."""
        return
