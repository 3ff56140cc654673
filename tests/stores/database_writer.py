"""
Another process that saves traces: ``python -m tests.stores.database_writer ENTRY FIRST COUNT MAX_TRACES``.

``ENTRY`` is the database as JSON, like one in ``DATABASES``. It says when it is ready and begins at a line on
its standard input, so that several can begin at once.
"""

from __future__ import annotations

import json
import sys

import django
from django.conf import settings


def main(entry: str, first: int, count: int, most: int) -> None:
    settings.configure(
        DATABASES={"default": {}, "traces": json.loads(entry)},
        INSTALLED_APPS=["dbroute_panel", "dbroute_panel.stores.database"],
        DBROUTE_PANEL={"MAX_TRACES": most},
    )
    django.setup()

    from dbroute_panel.stores import DatabaseStore
    from tests.traces import a_trace

    store = DatabaseStore(alias="traces")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    for number in range(first, first + count):
        store.save(a_trace(number))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
