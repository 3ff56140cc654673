"""
A process whose files may not grow any more: ``python -m tests.faults.full_disk PATH``.

Saves traces as a request does until one is lost, tells how many were kept, and that the rest of the process
went on; then lets the files grow again.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
from pathlib import Path

from django.conf import settings


def main(path: str) -> dict[str, object]:
    settings.configure(
        DBROUTE_PANEL={"STORE": {"BACKEND": "dbroute_panel.stores.SQLiteStore", "OPTIONS": {"path": path}}}
    )
    from dbroute_panel import stores
    from tests.traces import a_long_trace, a_trace

    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("dbroute_panel").addHandler(handler)
    stores.keep(a_trace(1))
    largest = max(file.stat().st_size for file in Path(path).parent.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 20_000, resource.RLIM_INFINITY))
    kept = [stores.keep(a_long_trace(number, events=400)) for number in range(2, 30)]
    still_there = stores.get_store().get(f"{1:032x}") is not None
    listed = len(stores.get_store().summaries())
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    again = stores.keep(a_trace(100))
    return {
        "kept": kept,
        "lost": stores.lost,
        "logged": records,
        "still there": still_there,
        "listed": listed,
        "again": again,
        "ids": sorted(int(trace.id, 16) for trace in stores.get_store().traces()),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1])))
