"""The pages about the routing: sandbox, map, routers and replay, as a person uses them."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.site import ADMIN

SANDBOX = f"{ADMIN}sandbox/"
ASK = ".dbroute-go"
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def pages(site) -> list[str]:
    replay = site.trace("walk-through").replace("/change/", "/replay/")
    filled = f"{SANDBOX}?model=library.Book&action=db_for_read&repeat=50"
    return [
        filled,
        f"{ADMIN}map/",
        f"{ADMIN}routers/",
        replay,
        f"{ADMIN}import/",
        f"{ADMIN}finding/stale-read/",
    ]


def asked_map(page) -> None:
    page.goto(f"{ADMIN}map/")
    if not page.locator(".dbroute-map").count():
        page.locator(".dbroute-ask-map button").click()
        expect(page.locator(".dbroute-map")).to_be_visible()


def options(page, field: str) -> list[str]:
    return page.locator(f"#{field} option").evaluate_all("all => all.map(one => one.value)")


def test_what_is_typed_is_asked_for_once_one_stops_and_the_field_keeps_the_focus(page):
    page.goto(SANDBOX)
    assert "auth.User" in options(page, "dbroute-models")
    with page.expect_response(lambda response: "/sandbox/models/?model=brary.b" in response.url):
        page.locator("#id_model").press_sequentially("brary.b", delay=20)
    expect(page.locator("#dbroute-models option")).to_have_count(2)
    assert options(page, "dbroute-models") == ["library.Book", "library.Book_tags"]
    expect(page.locator("#id_model")).to_be_focused()
    assert page.locator("#id_model").get_attribute("list") == "dbroute-models"


def test_it_goes_on_after_an_answer_in_each_of_the_two_fields(page):
    page.goto(f"{SANDBOX}?model=library.Book&action=allow_relation")
    page.locator(ASK).click()
    expect(page.locator(".dbroute-sentence-big")).to_contain_text("would be allowed")
    with page.expect_response(lambda response: "/sandbox/models/?other_model=Person" in response.url):
        page.locator("#id_other_model").fill("Person")
    expect(page.locator("#dbroute-other-models option")).to_have_count(1)
    assert options(page, "dbroute-other-models") == ["library.Person"]
    assert page.url.endswith("action=allow_relation")


@pytest.mark.parametrize("page", [{"javascript": True}, {"javascript": False}], indirect=True, ids=str)
def test_an_example_fills_the_form_and_the_keyboard_asks(page):
    page.goto(SANDBOX)
    page.locator(".dbroute-examples a").nth(1).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#id_model")).to_have_value("library.Book")
    expect(page.locator(".dbroute-empty")).to_contain_text("Nothing was asked yet.")
    page.locator("#id_repeat").press("Enter")
    expect(page.locator(".dbroute-sentence-big")).to_contain_text("library.Book would be written to primary.")


@pytest.mark.parametrize("page", [{"javascript": True}, {"javascript": False}], indirect=True, ids=str)
def test_a_wrong_model_is_mended_with_a_link(page, watch):
    watch.expect("400")
    page.goto(SANDBOX)
    page.locator("#id_model").fill("library.Bok")
    page.locator(ASK).click()
    page.locator(".dbroute-meant a").first.click()
    expect(page.locator("#id_model")).to_have_value("library.Book")


@pytest.mark.parametrize("page", [{"javascript": True}, {"javascript": False}], indirect=True, ids=str)
def test_a_cell_of_the_map_opens_the_sandbox_filled_in(page):
    asked_map(page)
    row = page.locator(".dbroute-map tr", has=page.locator("th", has_text="LogEntry"))
    row.locator('td[data-label="Table on auth_db"] a').click()
    expect(page.locator("#id_db")).to_have_value("auth_db")
    expect(page.locator(".dbroute-empty")).to_contain_text("Nothing was asked yet.")


@pytest.mark.parametrize(
    "page",
    [
        {"width": 360},
        {"width": 360, "scheme": "dark", "javascript": False},
        {"width": 1280},
        {"width": 360, "locale": "ar"},
        {"width": 1280, "locale": "he"},
    ],
    indirect=True,
    ids=str,
)
def test_no_page_is_wider_than_the_window(page, site):
    asked_map(page)
    for path in pages(site):
        page.goto(path)
        assert page.evaluate(OVERFLOW) <= 0, path
        if page.locator(ASK).count():
            page.locator(ASK).click()
            expect(page.locator(".dbroute-sentence-big")).to_be_visible()
            assert page.evaluate(OVERFLOW) <= 0, path


@pytest.mark.parametrize("page", [{"locale": "ar"}], indirect=True, ids=str)
def test_from_right_to_left_code_and_paths_are_still_from_left_to_right(page):
    page.goto(f"{ADMIN}routers/")
    assert page.evaluate("document.documentElement.dir") == "rtl"
    code = page.locator(".dbroute-source-code pre").first
    assert code.evaluate("each => getComputedStyle(each).direction") == "ltr"
    name = page.locator(".dbroute-place bdi").first
    assert name.inner_text().startswith("/")
    assert name.evaluate("each => getComputedStyle(each).direction") == "ltr"
    router = page.locator(".dbroute-routers-list > li").first
    assert router.evaluate("each => getComputedStyle(each).paddingRight") != "0px"


@pytest.mark.parametrize(
    "page", [{"contrast": "more"}, {"scheme": "dark", "contrast": "more"}], indirect=True, ids=str
)
def test_who_wants_more_contrast_gets_no_quiet_text(page):
    page.goto(f"{ADMIN}routers/")
    colour = "each => getComputedStyle(each).color"
    assert page.locator("#dbroute .dbroute-quiet").first.evaluate(colour) == page.locator(
        "#dbroute"
    ).evaluate(colour)


def test_on_paper_there_is_nothing_to_press(page):
    asked_map(page)
    page.emulate_media(media="print")
    expect(page.locator("#dbroute .dbroute-filter")).to_be_hidden()
    expect(page.locator("#dbroute .dbroute-ask-map")).to_be_hidden()
    expect(page.locator(".dbroute-map tr.dbroute-app").first).to_be_visible()
