"""
A small site with somebody else's router and middleware: ``python -m tests.zoo.program PACKAGE MODE FOLDER``.

Does the same things whatever ``MODE`` is: ``without`` (our package is not installed), ``installed``
(nothing is recorded) or ``recording`` (every request, and the questions asked by hand). Prints as JSON
what a user would see (``answers``), what the package remembers afterwards (``states``), what the driver
was sent (``sql``) and, where it was recorded, the traces.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from django.conf import settings

ALIASES = ["default", "replica1", "replica2"]
PACKAGES: dict[str, dict[str, Any]] = {
    "django-multidb-router": {
        "DATABASE_ROUTERS": ["multidb.PinningReplicaRouter"],
        "MIDDLEWARE": ["multidb.middleware.PinningRouterMiddleware"],
        "REPLICA_DATABASES": ALIASES[1:],
    },
    "django-replicated": {
        "DATABASE_ROUTERS": ["django_replicated.router.ReplicationRouter"],
        "MIDDLEWARE": ["django_replicated.middleware.ReplicationMiddleware"],
        "REPLICATED_DATABASE_SLAVES": ALIASES[1:],
    },
    "django-tenants": {
        "DATABASE_ROUTERS": ["django_tenants.routers.TenantSyncRouter"],
        "SHARED_APPS": ["django.contrib.contenttypes", "django.contrib.auth"],
        "TENANT_APPS": ["django.contrib.auth", "django.contrib.sites"],
    },
}


def configure(package: str, mode: str, folder: Path) -> None:
    given = dict(PACKAGES[package])
    if package == "django-replicated":  # its settings.py is what a project takes its defaults from
        from django_replicated import settings as defaults

        given = {name: value for name, value in vars(defaults).items() if name.isupper()} | given
    middleware = given.pop("MIDDLEWARE", [])
    ours = [] if mode == "without" else ["dbroute_panel"]
    if mode == "recording":
        middleware = ["dbroute_panel.middleware.TraceMiddleware", *middleware]
    settings.configure(
        DATABASES={
            alias: {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / f"{alias}.sqlite3"}
            for alias in ALIASES
        },
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sites", *ours],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        MIDDLEWARE=middleware,
        ALLOWED_HOSTS=["testserver"],
        DBROUTE_PANEL={
            "SHOULD_RECORD": lambda request: True,
            "RECORD_PARAMS": True,
            "STORE": {"BACKEND": "dbroute_panel.stores.MemoryStore"},
        },
        **given,
    )


def groups(request: Any) -> Any:
    """GET reads, twice; POST writes and reads again. The answer names the databases."""
    from django.contrib.auth.models import Group
    from django.db import router
    from django.http import HttpResponse, HttpResponseRedirect

    used: list[Any] = [getattr(router.routers[0], "state", str)()]
    if request.method == "POST":
        used.append(Group.objects.create(name=request.POST["name"])._state.db)
    used += [group._state.db for group in Group.objects.order_by("pk")]
    used.append(Group.objects.count())
    if request.GET.get("write"):  # which a package may forbid in a GET
        used.append(Group.objects.create(name="by get")._state.db)
    answer = HttpResponse(",".join(map(str, used)))
    if request.GET.get("redirect"):
        answer = HttpResponseRedirect(f"/?{','.join(map(str, used))}")
    return answer


def urls() -> tuple[Any]:
    from django.urls import path

    return (path("", groups),)


REQUESTS: list[tuple[str, str, dict[str, str]]] = [
    ("get", "/", {}),
    ("get", "/", {}),
    ("post", "/?redirect=1", {"name": "first"}),
    ("get", "/", {}),
    ("get", "/?write=1", {}),
    ("post", "/", {"name": "second"}),
    ("get", "/", {}),
]


def served(state: Callable[[], Any]) -> tuple[list[Any], list[Any]]:
    """What a browser sees of some requests, and what the router remembers after each."""
    from django.test import Client

    client, answers, states = Client(raise_request_exception=False), [], []
    for method, path, content in REQUESTS:
        response = getattr(client, method)(path, content)
        cookies = sorted((name, morsel.OutputString()) for name, morsel in response.cookies.items())
        body = response.content.decode() if response.status_code == 200 else response.headers.get("Location")
        answers.append(
            [response.status_code, body, [[name, text.split("expires")[0]] for name, text in cookies]]
        )
        states.append(state())
    return answers, states


def replicated_state() -> Any:
    from django.db import router

    [replicated] = router.routers
    return [replicated.context.state_stack, sorted(replicated.context.chosen.items())]


def pinned_by_hand() -> tuple[list[Any], list[Any]]:
    """A thread that is pinned, and one that is not."""
    from django.contrib.auth.models import Group
    from multidb.pinning import this_thread_is_pinned, unpin_this_thread, use_primary_db

    def read() -> list[str]:
        return [group._state.db for group in Group.objects.all()]

    unpin_this_thread()
    answers, states = [read(), read()], [this_thread_is_pinned()]
    with use_primary_db:
        answers += [read(), read()]
        states.append(this_thread_is_pinned())
    answers.append(read())
    states.append(this_thread_is_pinned())
    return answers, states


def migrations() -> tuple[list[Any], list[Any]]:
    """``allow_migrate`` of every app on every alias, in the shared schema and in a tenant's."""
    from django.db import connections, router

    answers: list[Any] = []
    for schema in ("public", "tenant1"):
        for alias in ALIASES:
            connections[alias].schema_name = schema  # as its PostgreSQL backend's set_schema() does
            for app in ("auth", "contenttypes", "sites", "django_cache", "unknown"):
                try:
                    answers.append([schema, alias, app, router.allow_migrate(alias, app, model_name="x")])
                except LookupError as error:
                    answers.append([schema, alias, app, str(error)])
    return answers, [vars(router.routers[0])]


def main(package: str, mode: str, folder: Path) -> dict[str, Any]:
    configure(package, mode, folder)
    import django

    django.setup()
    settings.ROOT_URLCONF = urls()
    random.seed(11)
    from django.db.backends.signals import connection_created

    sql: list[Any] = []

    def listen(connection: Any, **kwargs: Any) -> None:
        connection.connection.set_trace_callback(lambda statement: sql.append([connection.alias, statement]))

    connection_created.connect(listen)
    traces: list[Any] = []
    by_hand: Any = nullcontext()
    if mode == "recording":
        from dbroute_panel import stores, trace

        by_hand = trace("by hand")
    if package == "django-tenants":
        with by_hand:
            answers, states = migrations()
    elif package == "django-replicated":
        answers, states = served(replicated_state)
    else:
        from multidb.pinning import this_thread_is_pinned

        answers, states = served(this_thread_is_pinned)
        with by_hand:
            more = pinned_by_hand()
        answers, states = answers + more[0], states + more[1]
    if mode == "recording":
        assert stores.lost == 0
        traces = [trace.to_dict() for trace in stores.get_store().traces()]
    return {
        "ours": "dbroute_panel" in sys.modules,
        "answers": answers,
        "states": states,
        "random": random.random(),
        "sql": sql,
        "traces": traces,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])), default=str))
