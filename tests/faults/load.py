"""
A process that does much of one thing: ``python -m tests.faults.load WHAT MODE FOLDER``. It prints JSON.

``queries``: one request with 100,000 queries; its answer, and how much memory the process had at most.
``requests``: 10,000 requests of several kinds; what the process has of memory and objects after 1,000 and
at the end.
``MODE`` is ``without`` or ``recording``.
"""

from __future__ import annotations

import gc
import json
import logging
import resource
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from django.conf import settings

QUERIES, REQUESTS, EARLY, WARM = 100_000, 10_000, 1000, 10


def configure(mode: str, folder: Path) -> None:
    middleware = ["dbroute_panel.middleware.TraceMiddleware"] if mode == "recording" else []
    settings.configure(
        DATABASES={
            alias: {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / f"{alias}.sqlite3"}
            for alias in ("default", "other")
        },
        DATABASE_ROUTERS=[f"{__name__}.Router"],
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "dbroute_panel"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        MIDDLEWARE=middleware,
        ALLOWED_HOSTS=["testserver"],
        DBROUTE_PANEL={
            "SHOULD_RECORD": lambda request: True,
            "RECORD_PARAMS": True,
            "STORE": {
                "BACKEND": "dbroute_panel.stores.SQLiteStore",
                "OPTIONS": {"path": str(folder / "traces.sqlite3")},
            },
        },
    )


class Router:
    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "other" if hints.get("instance") else None


def many(request: Any) -> Any:
    """Queries of the ORM and of a cursor, of two databases, each with a text of its own."""
    from django.contrib.auth.models import Group
    from django.db import connections
    from django.http import HttpResponse

    found = 0
    with connections["other"].cursor() as cursor:
        for number in range(QUERIES // 20):
            found += Group.objects.filter(name=f"group {number}").exists()
            for place in range(19):
                cursor.execute(f"SELECT {number}, %s", [f"value {place} of {number}"])
    return HttpResponse(f"{found}")


def some(request: Any, number: str) -> Any:
    """What depends on its number: a read, a transaction, a failing query, a missing page, an exception."""
    from django.contrib.auth.models import Group
    from django.db import connections, transaction
    from django.http import Http404, HttpResponse

    kind = int(number) % 5
    if kind == 0:
        with transaction.atomic():
            Group.objects.filter(name=f"group {number}").update(name=f"other {number}")
    elif kind == 1:
        with connections["other"].cursor() as cursor:
            try:
                cursor.execute(f"SELECT {number} FROM nowhere_{number}")
            except Exception as error:  # noqa: BLE001
                return HttpResponse(str(error))
    elif kind == 2:
        Group.objects.filter(name=number).exists()
        raise Http404(number)
    elif kind == 3:
        Group.objects.first()
        raise ValueError(number)
    return HttpResponse(str(list(Group.objects.using("other"))))


Get = Callable[[str], tuple[str, str]]


def served() -> Get:
    """Gets a page as a server does: status and content. Django's test client keeps something of each."""
    import django

    django.setup()
    from django.core.handlers.wsgi import WSGIHandler
    from django.core.management import call_command
    from django.test import RequestFactory
    from django.urls import re_path

    from dbroute_panel.sql import classify

    settings.ROOT_URLCONF = (re_path(r"^many/$", many), re_path(r"^some/(\d+)/$", some))
    for alias in ("default", "other"):
        call_command("migrate", database=alias, verbosity=0)
    logging.getLogger("django.request").disabled = True
    handler, factory = WSGIHandler(), RequestFactory()

    def get(path: str) -> tuple[str, str]:
        statuses: list[str] = []
        response = handler(factory.get(path).environ, lambda status, headers: statuses.append(status))
        content = b"".join(response).decode()
        response.close()
        return statuses[0], content

    for number in range(WARM):  # so that everything is imported
        get(f"/some/{number}/")
    for number in range(3000):  # and the cache of statements is full: it holds 2048
        classify(f"SELECT {number}")
    return get


def queries() -> dict[str, Any]:
    return {"answer": served()("/many/"), "memory": most_memory()}


def requests() -> dict[str, Any]:
    get = served()
    answers: Counter[str] = Counter(get(f"/some/{number}/")[0] for number in range(EARLY))
    early = state()
    answers.update(get(f"/some/{number}/")[0] for number in range(EARLY, REQUESTS))
    return {"answers": answers, "early": early, "late": state()}


def state() -> dict[str, int]:
    gc.collect()
    return {"objects": len(gc.get_objects()), "memory": memory()}


def memory() -> int:
    """Bytes of this process in memory, now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def most_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def traces() -> Iterator[dict[str, Any]]:
    from dbroute_panel import stores

    store = stores.get_store()
    yield {"lost": stores.lost, "kept": store.count()}
    if last := store.summaries(limit=1):
        yield {"dropped": last[0].dropped.query, "queries": last[0].queries, "status": last[0].status}


def main(what: str, mode: str, folder: str) -> dict[str, Any]:
    configure(mode, Path(folder))
    told = {"queries": queries, "requests": requests}[what]()
    return {**told, "traces": list(traces())}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
