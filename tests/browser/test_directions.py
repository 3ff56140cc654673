"""The pages in languages of long words, from right to left as in Hebrew and Arabic, and on paper."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser import measures
from tests.browser.pages import SHOWN
from tests.browser.site import ADMIN

PLACES = {
    "list": ADMIN,
    "trace": "stale",
    "transactions": "transactions",
    "sandbox": f"{ADMIN}sandbox/?action=db_for_read&model=library.Book",
    "map": f"{ADMIN}map/",
    "routers": f"{ADMIN}routers/",
    "finding": f"{ADMIN}finding/stale-read/",
    "import": f"{ADMIN}import/",
}


@pytest.mark.parametrize(
    ("language", "direction"), [("he", "rtl"), ("ar", "rtl"), ("de", "ltr"), ("fr", "ltr")]
)
@pytest.mark.parametrize("name", PLACES)
def test_in_any_language_all_has_its_place_and_code_stays_as_it_is(browse, site, name, language, direction):
    if name == "map":
        # It is another page when it was asked, and another test may have done that.
        SHOWN["map"].reach(browse(site), site)
    page = browse(site, locale=language)
    place = PLACES[name]
    page.goto(place if place.startswith("/") else site.trace(place))
    assert page.locator("html").get_attribute("dir") == direction
    # Whatever can be opened, with code in it.
    for row in page.locator(".dbroute-row > summary").filter(visible=True).all()[:2]:
        row.click()
        expect(page.locator("details.dbroute-row[open] dl").first).to_be_visible()

    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 900})
        assert measures.too_wide(page) == []
        assert measures.overlapping(page, "#dbroute") == []
        assert measures.code_the_other_way(page, "#dbroute") == []


@pytest.mark.parametrize("width", [1280, 360])
def test_a_path_of_one_long_word_makes_no_page_wider_than_the_window(browse, site, width):
    page = browse(site, width=width)
    response = page.request.get(f"/admin/{'x' * 300}/")
    trace = response.headers["dbroute-trace-id"]

    for path in ("change", "delete", "replay"):
        page.goto(f"{ADMIN}{trace}/{path}/")
        assert measures.too_wide(page) == []


@pytest.mark.parametrize("name", ["list", "trace-long", "trace-opened", "map", "routers"])
def test_on_paper_is_what_was_opened_and_nothing_to_press(browse, site, name):
    page = browse(site)
    SHOWN[name].reach(page, site)
    ours = page.locator("#dbroute")
    opened = ours.get_by_text("called from", exact=True).filter(visible=True)
    expect(opened).to_have_count(1 if name == "trace-opened" else 0)
    page.emulate_media(media="print")

    admin_s = "#nav-sidebar, #user-tools"
    pressed = page.locator(
        f"button, input, select, textarea, .object-tools a, .dbroute-ways, .dbroute-pages, {admin_s}"
    ).filter(visible=True)
    assert [one.evaluate("element => element.outerHTML") for one in pressed.all()] == []
    expect(opened).to_have_count(1 if name == "trace-opened" else 0)
    assert measures.too_wide(page) == []


FROM_LEFT_TO_RIGHT = """element => {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  while (walker.nextNode() && !walker.currentNode.textContent.trim());
  const text = walker.currentNode.textContent;
  const at = place => {
    const range = document.createRange();
    range.setStart(walker.currentNode, place);
    range.setEnd(walker.currentNode, place + 1);
    return range.getBoundingClientRect().x;
  };
  return at(text.search(/\\S/)) < at(text.trimEnd().length - 1);
}"""


def test_a_path_and_a_time_are_read_as_they_are_written_in_any_language(browse, site):
    page = browse(site, locale="he")
    page.goto(site.trace("stale"))
    for what in (
        "#content h1",
        ".breadcrumbs bdi",
        ".dbroute-summary bdi",
        ".dbroute-ms",
        ".dbroute-lane-total > span",
    ):
        assert page.locator(what).first.evaluate(FROM_LEFT_TO_RIGHT), what
    title = page.locator("#content h1")
    assert title.evaluate("title => getComputedStyle(title).textAlign") == "right"

    page.goto(ADMIN)
    for what in (".dbroute-traces th > a", ".dbroute-num"):
        assert page.locator(what).first.evaluate(FROM_LEFT_TO_RIGHT), what
