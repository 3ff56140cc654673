"""The pages without a mouse."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser import measures
from tests.browser.pages import SHOWN
from tests.browser.site import ADMIN

WALKED = [
    "list",
    "compare",
    "trace-opened",
    "trace-grouped",
    "replay",
    "finding",
    "sandbox-answered",
    "map",
    "routers",
    "import",
    "delete",
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", WALKED)
def test_tab_reaches_every_control_in_order_and_shows_where_it_is(browse, site, name, scheme):
    page = browse(site, scheme=scheme, reduced_motion="reduce")
    SHOWN[name].reach(page, site)

    controls = measures.begin_walk(page, "#dbroute")
    assert len(controls) > 1
    for _ in controls:
        page.keyboard.press("Tab")
    steps = measures.end_walk(page)
    assert [step["control"] for step in steps] == controls
    assert [step["control"] for step in steps if not step["shown"]] == []


def test_j_and_k_go_from_event_to_event_and_enter_opens_one(page, site):
    page.goto(site.trace("stale"))
    rows = page.locator(".dbroute-row > summary").filter(visible=True)
    page.keyboard.press("j")
    expect(rows.nth(0)).to_be_focused()
    page.keyboard.press("j")
    expect(rows.nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(rows.nth(0)).to_be_focused()

    expect(page.get_by_text("called from").filter(visible=True)).to_have_count(0)
    page.keyboard.press("Enter")
    expect(page.get_by_text("called from").filter(visible=True)).to_have_count(1)
    expect(rows.nth(0)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("called from").filter(visible=True)).to_have_count(0)


def test_a_slash_goes_to_the_filter_and_letters_in_it_are_only_letters(page, site):
    page.goto(site.trace("stale"))
    page.keyboard.press("/")
    search = page.get_by_role("searchbox", name=re.compile("^Text"))
    expect(search).to_be_focused()

    page.keyboard.type("jk?/")
    expect(search).to_be_focused()
    expect(search).to_have_value("jk?/")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_question_mark_opens_the_help_and_escape_closes_it(page, site):
    page.goto(site.trace("stale"))
    page.keyboard.press("j")
    page.keyboard.press("?")
    help_ = page.get_by_role("dialog", name="Keyboard")
    expect(help_).to_be_visible()
    expect(help_.get_by_role("button", name="Close")).to_be_focused()

    page.keyboard.press("Escape")
    expect(help_).to_be_hidden()
    expect(page.locator(".dbroute-row > summary").first).to_be_focused()


def test_with_keys_that_belong_to_the_browser_nothing_happens(page, site):
    page.goto(site.trace("stale"))
    page.keyboard.press("Control+k")
    page.keyboard.press("Alt+j")

    expect(page.locator(".dbroute-row > summary:focus")).to_have_count(0)


def test_a_question_is_asked_without_a_mouse(page):
    page.goto(f"{ADMIN}sandbox/")
    page.get_by_label(re.compile("^Model:?$")).focus()
    page.keyboard.type("library.Book")
    page.keyboard.press("Enter")

    expect(page.get_by_text("Book would be read from")).to_be_visible()
