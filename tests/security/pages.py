"""
Every page of the tool: who may do what on it, and what to send so that it really does it.

The names come from ``TraceAdmin.get_urls()``: a page that is not listed here fails ``test_access``.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, NamedTuple

from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from dbroute_panel.models import Trace
from dbroute_panel.records import dumps
from tests.traces import a_trace

HERE, ELSEWHERE = a_trace(1), a_trace(2)
LOOK, ASK, ADD, DELETE = PERMISSIONS = ("view_trace", "use_sandbox", "add_trace", "delete_trace")


class Page(NamedTuple):
    """
    ``look`` and ``do``: the permissions that GET and POST need; ``do`` is None where nothing can be posted.

    ``data`` is what a POST sends, ``done`` the status of the answer when it was done.
    """

    look: set[str]
    do: set[str] | None = None
    args: Mapping[str, str] = {}
    query: str = ""
    data: Mapping[str, Any] = {}
    done: int = 200
    shown: int = 200


LISTED = {
    "changelist": Page({LOOK}, {LOOK, DELETE}, data={"action": "clear", "post": "yes"}, done=302),
    "change": Page({LOOK}, args={"trace_id": HERE.id}),
    "compare": Page({LOOK}, query=f"?a={HERE.id}&b={HERE.id}"),
    "delete": Page({DELETE}, {DELETE}, args={"trace_id": HERE.id}, data={"post": "yes"}, done=302),
    "export": Page({LOOK}, args={"trace_id": HERE.id, "format_name": "json"}),
    "finding": Page({LOOK}, args={"code": "stale-read"}),
    "import": Page({ADD}, {ADD}, data={"file": dumps(ELSEWHERE)}, done=302),
    "map": Page({LOOK}, {LOOK, ASK}, data={"ask": "1"}, done=302),
    "models": Page({ASK}),
    "replay": Page({LOOK, ASK}, {LOOK, ASK}, args={"trace_id": HERE.id}, data={"repeat": "1"}),
    "routers": Page({LOOK}),
    "sandbox": Page({ASK}, {ASK}, data={"model": "library.Book", "action": "db_for_read", "repeat": "1"}),
}

PEOPLE: dict[str, dict[str, Any] | None] = {
    "anonymous": None,
    "a user": {"is_staff": False, "permissions": PERMISSIONS},
    "staff": {"permissions": ()},
    **{f"staff with {name}": {"permissions": (name,)} for name in PERMISSIONS},
    "staff with view_trace and use_sandbox": {"permissions": (LOOK, ASK)},
    "staff with view_trace and delete_trace": {"permissions": (LOOK, DELETE)},
    "inactive superuser": {"is_superuser": True, "is_active": False, "permissions": ()},
    "superuser": {"is_superuser": True, "permissions": ()},
}


def served() -> set[str]:
    """The names of the pages that there are."""
    found = admin.site.get_model_admin(Trace).get_urls()
    return {url.name.removeprefix("dbroute_panel_trace_") for url in found}


PAGES = {name: LISTED[name] for name in sorted(served() & set(LISTED))}


def url(name: str) -> str:
    page = PAGES[name]
    return reverse(f"admin:dbroute_panel_trace_{name}", kwargs=page.args) + page.query


def posted(name: str) -> dict[str, Any]:
    """What a POST sends; a file is made anew, since sending reads it to its end."""
    return {
        key: io.BytesIO(value) if isinstance(value, bytes) else value
        for key, value in PAGES[name].data.items()
    }


def person(name: str, **of_client: Any) -> Client:
    """A client that has logged in as one of ``PEOPLE``."""
    client = Client(**of_client)
    facts = PEOPLE[name]
    if facts is None:
        return client
    facts = {"is_staff": True, **facts}
    permissions = facts.pop("permissions")
    user = User.objects.create_user(name, **facts)
    user.user_permissions.add(
        *Permission.objects.filter(content_type__app_label="dbroute_panel", codename__in=permissions)
    )
    client.force_login(user)
    return client


def permissions_of(name: str) -> set[str]:
    """The permissions that count: none for who is no staff, all for a superuser."""
    facts = PEOPLE[name]
    if facts is None or not facts.get("is_staff", True) or not facts.get("is_active", True):
        return set()
    return set(PERMISSIONS) if facts.get("is_superuser") else set(facts["permissions"])
