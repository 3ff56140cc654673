"""What a person does with htmx is in the address: shared, it shows the same, also without JavaScript."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from playwright.sync_api import Page, expect

from tests.browser.site import ADMIN

ROWS = ".dbroute-row > summary"


def rows(page: Page) -> list[str]:
    return [re.sub(r"\s+", " ", text).strip() for text in page.locator(ROWS).all_text_contents()]


def names(page: Page) -> list[str]:
    """What the rows of a table are about."""
    return page.locator("#dbroute").get_by_role("rowheader").all_text_contents()


@pytest.fixture
def shared(browse, site):
    """The address of a page opened by somebody else, without JavaScript."""

    def shared(page: Page) -> Page:
        other = browse(site, javascript=False)
        other.goto(page.url)
        return other

    return shared


def test_a_filter_is_in_the_address_and_going_back_takes_it_away(page, site, shared):
    page.goto(site.trace("long"))
    before = rows(page)
    page.get_by_label(re.compile("^Database")).select_option("archive")
    expect(page).to_have_url(re.compile("[?&]db=archive"))
    expect(page.locator(ROWS).filter(has_not_text="archive")).to_have_count(0)

    assert rows(page) == rows(shared(page)) != before
    page.go_back()
    expect(page).not_to_have_url(re.compile("archive"))
    expect(page.locator(ROWS).filter(has_not_text="archive").first).to_be_visible()
    assert rows(page) == before


def test_text_is_searched_for_as_it_is_typed(page, site, shared):
    page.goto(site.trace("long"))
    page.get_by_role("searchbox", name=re.compile("^Text")).press_sequentially("library_tag")
    expect(page).to_have_url(re.compile("=library_tag"))
    expect(page.locator(ROWS).filter(has_not_text="library_tag")).to_have_count(0)

    assert rows(page) == rows(shared(page)) != []


def test_a_further_page_of_events_has_an_address_and_going_back_leaves_it(page, site, shared):
    page.goto(site.trace("long"))
    first = rows(page)
    page.get_by_role("link", name="Next").click()
    expect(page).to_have_url(re.compile("page=2"))
    expect(page.get_by_text("Page 2 of")).to_be_visible()

    assert rows(page) == rows(shared(page)) != first
    page.go_back()
    expect(page.get_by_text("Page 1 of")).to_be_visible()
    assert rows(page) == first


def test_an_opened_event_has_an_address(page, site, shared):
    page.goto(site.trace("stale"))
    page.locator(ROWS).filter(has_text="UPDATE").first.click()
    expect(page.get_by_text("called from").filter(visible=True)).to_have_count(1)
    expect(page).to_have_url(re.compile(r"event=\d+"))

    other = shared(page)
    expect(other.get_by_text("called from").filter(visible=True)).to_have_count(1)
    opened = page.locator("details.dbroute-row[open] > summary")
    assert (
        opened.all_text_contents() == other.locator("details.dbroute-row[open] > summary").all_text_contents()
    )


def test_the_filter_of_the_list_is_in_the_address(page, shared):
    page.goto(ADMIN)
    page.get_by_label(re.compile("^Finding")).select_option("stale-read")
    expect(page).to_have_url(re.compile("finding=stale-read"))
    expect(page.get_by_role("link", name="a nightly import")).to_have_count(0)

    assert names(page) == names(shared(page)) != []


def test_a_new_trace_comes_into_the_list_by_itself_unless_that_is_paused(page, browse, site):
    other = browse(site, logged_in=False)
    page.goto(ADMIN)
    expect(page.get_by_text("Live")).to_be_visible()
    other.goto("/books/3/")
    expect(page.get_by_role("link", name="GET /books/3/").first).to_be_visible()

    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused.")).to_be_visible()
    other.goto("/books/4/")
    page.wait_for_timeout(6_000)
    expect(page.get_by_role("link", name="GET /books/4/")).to_have_count(0)
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("link", name="GET /books/4/").first).to_be_visible()


def test_the_map_is_filtered_by_address_too(page, shared):
    page.goto(f"{ADMIN}map/")
    page.get_by_role("button", name=re.compile("^Ask the routers")).click()
    page.get_by_label(re.compile("^Database")).select_option("archive")
    expect(page).to_have_url(re.compile("[?&]db=archive"))

    expect(page.locator("#dbroute").get_by_role("rowheader", name="Card")).to_have_count(0)

    assert names(page) == names(shared(page)) != []


def test_the_permalink_of_a_question_fills_the_form_and_asks_nothing(page, shared):
    page.goto(f"{ADMIN}sandbox/")
    page.get_by_label(re.compile("^Model:?$")).fill("library.Book")
    page.get_by_role("button", name="Ask the routers").click()
    expect(page.get_by_text("Book would be read from")).to_be_visible()
    page.get_by_role("link", name="This form, filled in").click()
    expect(page).to_have_url(re.compile("model=library.Book"))

    for one in (page, shared(page)):
        expect(one.get_by_label(re.compile("^Model:?$"))).to_have_value("library.Book")
        expect(one.get_by_text("Nothing was asked yet")).to_be_visible()


@pytest.mark.parametrize(
    "page", [{"permissions": ["clipboard-read", "clipboard-write"]}], indirect=True, ids=["allowed"]
)
def test_a_button_copies_the_sql_as_it_is_shown(page, site):
    page.goto(site.trace("stale"))
    page.locator(ROWS).filter(has_text="UPDATE").first.click()
    page.get_by_role("button", name="Copy").first.click()
    expect(page.get_by_text("✓").first).to_be_visible()

    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.lstrip().startswith("UPDATE")
    assert copied == page.locator("pre", has_text="UPDATE").first.text_content()


def test_what_can_be_done_with_a_trace_stands_apart(page, site):
    page.goto(site.trace("stale"))
    tools = [tool.bounding_box() for tool in page.locator("#dbroute .object-tools > li").all()]

    assert len(tools) == 3
    for one, other in pairwise(tools):
        assert other["x"] - one["x"] - one["width"] == pytest.approx(5, abs=0.5)


def test_the_way_to_a_page_and_what_can_be_done_with_it_are_where_the_admin_has_them(page, site):
    """Whatever version of Django the admin is of."""
    colours = "e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).color]"
    page.goto("/admin/library/book/")
    theirs = page.locator(".breadcrumbs")
    expected, height = theirs.evaluate(colours), theirs.bounding_box()["height"]

    page.goto(site.trace("stale"))
    ours = page.locator(".breadcrumbs")
    assert ours.evaluate(colours) == expected
    assert ours.bounding_box()["height"] == pytest.approx(height, abs=5)
    title = page.locator("#content h1").first.bounding_box()
    tools = page.locator("#dbroute .object-tools").bounding_box()
    assert title["y"] - 10 < tools["y"] < title["y"] + title["height"]
    assert tools["x"] > 640
