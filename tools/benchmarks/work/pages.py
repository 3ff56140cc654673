"""Open pages as a browser does: a trace, more of its rows, a panel of the toolbar."""

from __future__ import annotations

import json
from functools import cache

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from dbroute_panel.stores import get_store
from tools.benchmarks.work.documents import busy
from tools.benchmarks.work.requests import one
from tools.benchmarks.work.timed import timed


@cache
def browser() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("admin"))
    return client


def _got(path: str, **headers: str) -> tuple[bytes, dict[str, float]]:
    response, seconds = timed(lambda: browser().get(path, headers=headers))
    if response.status_code != 200:
        raise RuntimeError(f"{path}: {response.status_code}")
    return response.content, {"ms": seconds * 1000, "kB": len(response.content) / 1000}


def trace(events: int) -> dict[str, float]:
    """Open the page of a trace."""
    return _got(_stored(events))[1]


def rows(events: int) -> dict[str, float]:
    """Open the second hundred of its rows, as htmx does."""
    return _got(f"{_stored(events)}?page=2", **{"HX-Request-Type": "partial"})[1]


@cache
def _stored(events: int) -> str:
    get_store().save(busy(events))
    return reverse("admin:dbroute_panel_trace_change", args=[busy(events).id])


def panel(name: str, queries: int) -> dict[str, float]:
    """Open the content of a toolbar's panel for a request that was just made."""
    headers, _, _ = one(f"/books/{queries}/")
    content, figures = _got(
        f"/__debug__/render_panel/?request_id={headers['djdt-request-id']}&panel_id={name}"
    )
    return figures | {"kB": len(json.loads(content)["content"].encode()) / 1000}
