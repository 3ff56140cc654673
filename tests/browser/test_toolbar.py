"""The panel in the debug toolbar's shadow root, on a page of the site and on one with an htmx of its own."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser import measures
from tests.browser.pages import SHOWN, in_scheme, open_panel


@pytest.mark.parametrize("page", [{"scheme": "light"}, {"scheme": "dark"}], indirect=True, ids=str)
def test_a_row_of_the_panel_opens_in_place_with_who_decided(page):
    page.goto("/books/1/")
    open_panel(page)
    panel = page.locator("#dbroute-panel")
    row = panel.locator("summary", has_text="library_book").first
    row.click()

    expect(panel.get_by_text("called from").filter(visible=True)).to_have_count(1)
    expect(panel.get_by_text("AuthRouter").filter(visible=True).first).to_be_visible()
    assert measures.faint_text(page, "#dbroute-panel", least=4.5) == []
    assert measures.overlapping(page, "#dbroute-panel") == []


def test_the_panel_is_in_the_colours_of_the_toolbar(page):
    page.goto("/books/1/")
    open_panel(page)
    panel = page.locator("#dbroute-panel")
    light = panel.evaluate("element => getComputedStyle(element).color")
    root = page.locator("#djDebug")
    for _ in range(3):
        if root.get_attribute("data-theme") != "dark":
            page.get_by_role("link", name="Toggle Theme").click()

    expect(root).to_have_attribute("data-theme", "dark")
    assert panel.evaluate("element => getComputedStyle(element).color") != light
    assert measures.faint_text(page, "#dbroute-panel", least=4.5) == []


def test_the_link_to_the_full_trace_leads_to_this_trace(page):
    page.goto("/books/1/")
    open_panel(page)
    page.get_by_role("link", name="The full trace").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("GET /books/1/")


def test_no_script_of_ours_comes_into_the_page(page):
    scripts = []
    page.on(
        "request", lambda request: scripts.append(request.url) if request.resource_type == "script" else None
    )
    page.goto("/books/1/")
    open_panel(page)

    assert scripts
    assert [url for url in scripts if "dbroute" in url or "htmx" in url] == []
    assert page.evaluate("typeof htmx") == "undefined"


def test_a_page_with_htmx_2_keeps_it_and_it_keeps_working(page):
    page.goto("/htmx2/")
    assert page.evaluate("htmx.version").startswith("2.")
    open_panel(page)
    page.locator("#dbroute-panel summary").first.click()
    page.get_by_role("link", name="Hide").click()

    page.get_by_role("button", name="Fetch").click()
    expect(page.get_by_text("fetched by htmx")).to_be_visible()
    assert page.evaluate("htmx.version").startswith("2.")


def test_a_panel_that_is_open_can_be_looked_at_in_both_schemes(page, site):
    SHOWN["panel"].reach(page, site)
    texts = []
    for scheme in ("light", "dark"):
        in_scheme(page, SHOWN["panel"], scheme)
        texts.append(page.locator("#dbroute-panel").evaluate("element => getComputedStyle(element).color"))

    assert texts[0] != texts[1]


@pytest.mark.parametrize("width", [1280, 360])
def test_what_leads_on_from_the_panel_stands_apart_from_each_other_and_from_what_follows(browse, site, width):
    page = browse(site)
    SHOWN["panel"].reach(page, site)
    page.set_viewport_size({"width": width, "height": 900})
    link, export, below = (
        page.locator(f"#dbroute-panel {part}").first.bounding_box()
        for part in (".dbroute-onward > a", ".dbroute-menu > summary", "h2")
    )

    if width == 1280:  # on one line
        assert export["x"] - link["x"] - link["width"] > 10
        assert export["y"] < link["y"] + link["height"]
    else:
        assert export["y"] - link["y"] - link["height"] > 5
    assert below["y"] - export["y"] - export["height"] > 15
