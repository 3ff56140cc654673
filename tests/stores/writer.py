"""
Another process that saves traces: ``python -m tests.stores.writer PATH FIRST COUNT MAX_TRACES``.

It says when it is ready and begins at a line on its standard input, so that several can begin at once.
"""

from __future__ import annotations

import sys

from django.conf import settings


def main(path: str, first: int, count: int, most: int) -> None:
    settings.configure(DBROUTE_PANEL={"MAX_TRACES": most})

    from dbroute_panel.stores import SQLiteStore
    from tests.traces import a_trace

    store = SQLiteStore(path=path)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    for number in range(first, first + count):
        store.save(a_trace(number))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
