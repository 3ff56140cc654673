"""A store in the memory of this process, for tests."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

from dbroute_panel.conf import panel_settings
from dbroute_panel.records import Trace, dumps, loads
from dbroute_panel.stores.base import EVERYTHING, Filter, Store, Summary


class MemoryStore(Store):
    """Keeps the JSON, as every store does, so that traces read from it are as from any."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Summary, int, bytes]] = {}
        self._lock = threading.Lock()

    def save(self, trace: Trace, *, imported: bool = False, evict: bool = True) -> None:
        summary = Summary.from_trace(trace, imported=imported)
        kept = (summary, summary.started_us, dumps(trace))
        with self._lock:
            self._kept.pop(trace.id, None)
            self._kept[trace.id] = kept
        if evict:
            self.evict()

    def evict(self) -> None:
        with self._lock:
            beyond = len(self._kept) - panel_settings.MAX_TRACES
            for trace_id in list(self._kept)[: max(0, beyond)]:
                del self._kept[trace_id]

    def get(self, trace_id: str) -> Trace | None:
        kept = self._kept.get(trace_id)
        return None if kept is None else loads(kept[2])

    def summary(self, trace_id: str) -> Summary | None:
        kept = self._kept.get(trace_id)
        return None if kept is None else kept[0]

    def summaries(self, query: Filter = EVERYTHING, *, offset: int = 0, limit: int = 100) -> list[Summary]:
        return self._select(query)[::-1][offset : offset + limit]

    def count(self, query: Filter = EVERYTHING) -> int:
        return len(self._select(query))

    def traces(self, query: Filter = EVERYTHING) -> Iterator[Trace]:
        for summary in self._select(query):
            if (trace := self.get(summary.id)) is not None:
                yield trace

    def delete(self, trace_ids: Iterable[str]) -> int:
        with self._lock:
            return sum(self._kept.pop(trace_id, None) is not None for trace_id in list(trace_ids))

    def clear(self) -> int:
        with self._lock:
            count = len(self._kept)
            self._kept.clear()
            return count

    def _select(self, query: Filter) -> list[Summary]:
        """Return the summaries, oldest first; those that started together in order of arrival."""
        with self._lock:
            kept = list(self._kept.values())
        return [summary for summary, _, _ in sorted(kept, key=lambda k: k[1]) if query.matches(summary)]
