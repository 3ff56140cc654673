"""From each of our pages to the others: the same links in the same order, the page that one is on marked."""

from __future__ import annotations

import re

import pytest

from tests.security.pages import HERE, PERMISSIONS, person

ALL = {"": "view_trace", "sandbox/": "use_sandbox", "map/": "view_trace", "routers/": "view_trace"}
ALL |= {"import/": "add_trace"}


def tools(client, page: str) -> list[tuple[str, bool]]:
    """The pages that the tools of this one lead to, and whether each is said to be where one is."""
    body = client.get(f"/admin/dbroute_panel/trace/{page}").content.decode()
    (found,) = re.findall(r'<ul class="object-tools">.*?</ul>', body, re.DOTALL)
    links = re.findall(r'href="/admin/dbroute_panel/trace/([^"]*)"( aria-current="page")?>', found)
    assert len(links) == found.count("<a ")
    return [(link, bool(here)) for link, here in links]


@pytest.mark.parametrize("page", ALL)
def test_every_page_has_the_same_in_the_same_order_and_marks_itself(site, store, page):
    assert tools(person("superuser"), page) == [(link, link == page) for link in ALL]


@pytest.mark.parametrize("permission", PERMISSIONS)
def test_nobody_is_sent_where_they_may_not_go(site, store, permission):
    store.save(HERE)
    client = person(f"staff with {permission}")
    for page in (page for page, needed in ALL.items() if needed == permission):
        assert tools(client, page) == [
            (link, link == page) for link, needed in ALL.items() if needed == permission
        ]


@pytest.mark.parametrize(
    "page", [f"{HERE.id}/replay/", f"{HERE.id}/delete/", "finding/stale-read/", "no/change/"]
)
def test_a_page_of_one_trace_or_finding_leads_there_too_and_is_none_of_them(site, store, page):
    store.save(HERE)
    assert tools(person("superuser"), page) == [(link, False) for link in ALL]


@pytest.mark.parametrize(
    "page", [*ALL, f"{HERE.id}/change/", "compare/", "finding/stale-read/", "no/change/"]
)
def test_every_page_says_where_it_is_as_the_admin_s_own_do(site, store, page):
    store.save(HERE)
    body = person("superuser").get(f"/admin/dbroute_panel/trace/{page}").content.decode()
    (crumbs,) = re.findall(r'<ol class="breadcrumbs">.*?</ol>', body, re.DOTALL)
    above = ["/admin/", "/admin/dbroute_panel/", *(["/admin/dbroute_panel/trace/"] if page else [])]
    assert re.findall(r'<a href="([^"]+)">', crumbs)[:3] == above
