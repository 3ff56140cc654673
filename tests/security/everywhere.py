"""Everything that somebody who may look at traces can get to see, as texts."""

from __future__ import annotations

import html
import io
import json
from collections.abc import Iterator

from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from dbroute_panel.exports import FORMATS
from dbroute_panel.records import Trace, dumps
from dbroute_panel.stores import Store
from tests.security.pages import LOOK

PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}


def page(name: str, **kwargs: str) -> str:
    return reverse(f"admin:dbroute_panel_trace_{name}", kwargs=kwargs)


def body(response) -> str:
    content = b"".join(response) if response.streaming else response.content
    response.close()
    return content.decode()


def documents(store: Store) -> list[Trace]:
    return [store.get(summary.id) for summary in store.summaries(limit=10_000)]


def pages(client: Client, store: Store, every: int = 1) -> Iterator[tuple[str, str]]:
    """Every page about the stored traces, with each event opened (or each fifth ...), and each export."""
    for name in ("changelist", "map", "routers"):
        yield name, body(client.get(page(name)))
    for trace in documents(store):
        change = page("change", trace_id=trace.id)
        yield change, body(client.get(change))
        for event in trace.events[::every]:
            for headers in (PARTIAL, {}) if event is trace.events[0] else (PARTIAL,):
                response = client.get(change, {"event": event.id, "questions": "on"}, headers=headers)
                assert response.status_code == 200
                yield f"{change} #{event.id}", body(response)
        for name in ("replay", "delete"):
            yield name, body(client.get(page(name, trace_id=trace.id)))
        for format_name in FORMATS:
            response = client.get(page("export", trace_id=trace.id, format_name=format_name))
            assert response.status_code == 200
            yield format_name, body(response) + str(response.headers)


def panels(client: Client, requests: list[str]) -> Iterator[tuple[str, str]]:
    """Our panel of the toolbar for each of these requests of its."""
    for request_id in requests:
        asked = {"request_id": request_id, "panel_id": "RoutingPanel"}
        yield "panel", json.loads(client.get("/__debug__/render_panel/", asked).content)["content"]


def outputs(store: Store) -> Iterator[tuple[str, str]]:
    """What the commands about stored traces put out."""
    commands = [["traces", "--format", name] for name in ("text", "json")]
    commands += [["export", "--all", "--format", name] for name in FORMATS]
    commands += [
        ["show", trace.id, "--format", name] for trace in documents(store) for name in ("text", "json")
    ]
    for words in commands:
        out, err = io.StringIO(), io.StringIO()
        call_command("dbroute", *words, stdout=out, stderr=err)
        yield " ".join(words), out.getvalue() + err.getvalue()


def files(store: Store) -> Iterator[tuple[str, str]]:
    """The bytes of the store's files, and the documents that are in them."""
    for path in sorted(store.path.parent.glob(f"{store.path.name}*")):
        yield path.name, path.read_bytes().decode("latin-1")
    for trace in documents(store):
        yield trace.id, dumps(trace).decode()


def viewer() -> Client:
    """Somebody of the staff who may look at traces and nothing else, elsewhere: no toolbar for them."""
    from django.contrib.auth.models import Permission, User

    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(
        Permission.objects.get(content_type__app_label="dbroute_panel", codename=LOOK),
        Permission.objects.get(content_type__app_label="dbroute_panel", codename="use_sandbox"),
        Permission.objects.get(content_type__app_label="dbroute_panel", codename="delete_trace"),
    )
    client = Client(REMOTE_ADDR="192.0.2.1")
    client.force_login(user)
    return client


def everywhere(store: Store, requests: list[str], every: int = 1) -> dict[str, str]:
    """Where something can be read, and what; as it is and as a browser shows it."""
    found = [*files(store), *pages(viewer(), store, every), *panels(Client(), requests), *outputs(store)]
    texts: dict[str, str] = {}
    for place, text in found:
        texts[place] = f"{texts.get(place, '')}{text}{html.unescape(text)}"
    return texts
