"""The list of traces while it is open: it keeps itself up to date, and never under somebody's hands."""

from __future__ import annotations

import re
import shutil

import pytest
from playwright.sync_api import expect

from tests.browser import site as sites
from tests.browser.site import ADMIN

LONGER_THAN_A_ROUND = 4_500  # ms


@pytest.fixture(scope="module")
def site(seeded, tmp_path_factory):
    """One of its own, because these tests record, and count what they find."""
    folder = tmp_path_factory.mktemp("live")
    with sites.running(shutil.copytree(seeded, folder / "data"), folder / "log") as site:
        yield site


@pytest.fixture(autouse=True)
def _no_icon(watch):
    """Chromium asks for one, once for a site; the example site has none for its admin."""
    watch.expect("favicon.ico")


@pytest.fixture
def asked(page) -> list[str]:
    """The URLs that the page asks for in order to stay up to date."""
    found: list[str] = []
    page.on("request", lambda request: found.append(request.url) if "seen=" in request.url else None)
    return found


def status(page):
    return page.locator("#dbroute-live [role=status]")


def record(page, path="/books/7/"):
    """A request to the site that leaves a trace."""
    assert page.request.get(path).ok


def test_a_new_trace_appears_is_marked_and_announced(page):
    page.goto(f"{ADMIN}?path=/books/1/")
    expect(status(page)).to_have_text("Live: new traces appear here.")
    expect(page.get_by_text("No trace matches this filter.")).to_be_visible()
    record(page, "/books/1/")

    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    expect(page.locator("#result_list tbody tr")).to_have_class("dbroute-new")
    expect(status(page)).to_have_text("1 new trace")
    record(page, "/books/1/")
    expect(status(page)).to_have_text("2 new traces")
    page.reload()
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    expect(page.locator(".dbroute-new")).to_have_count(0)


def test_the_filter_stays(page, asked):
    page.goto(f"{ADMIN}?path=nightly")
    record(page)
    with page.expect_response(lambda response: "seen=" in response.url) as answer:
        pass

    assert answer.value.status == 204
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    assert "path=nightly" in asked[0]
    assert page.url.endswith("?path=nightly")


def test_a_filter_set_in_the_page_is_what_is_asked_about(page, asked):
    page.goto(ADMIN)
    page.get_by_label("Path or name").fill("nightly")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    page.get_by_label("Path or name").blur()
    with page.expect_request(lambda request: "seen=" in request.url):
        asked.clear()

    assert asked
    assert all("path=nightly" in url for url in asked)
    expect(page.locator("#result_list tbody tr")).to_have_count(1)


def test_a_selection_pauses_it_and_is_kept(page, asked):
    page.goto(ADMIN)
    box = page.locator(".action-select").first
    box.check()
    box.blur()
    expect(status(page)).to_have_text("Paused while traces are selected.")
    asked.clear()
    record(page)
    page.wait_for_timeout(LONGER_THAN_A_ROUND)

    assert asked == []
    assert box.is_checked()
    box.uncheck()
    box.blur()
    expect(status(page)).to_have_text("1 new trace")


def test_a_selection_stays_where_a_filter_leaves_it_in_the_list(page):
    page.goto(ADMIN)
    page.get_by_role("checkbox", name="nightly import").check()
    page.get_by_label("Path or name").fill("import")
    expect(page).to_have_url(re.compile("path=import"))

    expect(page.get_by_role("checkbox", name="nightly import")).to_be_checked()


def test_the_focus_in_the_list_pauses_it(page, asked):
    page.goto(ADMIN)
    link = page.locator("#result_list th a").first
    link.focus()
    expect(status(page)).to_have_text("Paused while the focus is in the list.")
    asked.clear()
    page.wait_for_timeout(LONGER_THAN_A_ROUND)

    assert asked == []
    expect(link).to_be_focused()


def test_the_button_pauses_and_resumes_it(page, asked):
    page.goto(ADMIN)
    page.get_by_role("button", name="Pause").click()
    expect(status(page)).to_have_text("Paused.")
    asked.clear()
    page.wait_for_timeout(LONGER_THAN_A_ROUND)
    assert asked == []

    with page.expect_request(lambda request: "seen=" in request.url):
        page.get_by_role("button", name="Resume").click()
    expect(status(page)).to_have_text("Live: new traces appear here.")
    expect(page.get_by_role("button", name="Pause")).to_be_focused()


def test_a_hidden_page_asks_nothing_and_asks_at_once_when_it_is_seen_again(page, asked):
    page.goto(ADMIN)
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    asked.clear()
    page.wait_for_timeout(LONGER_THAN_A_ROUND)
    assert asked == []

    page.evaluate("delete document.hidden")
    with page.expect_request(lambda request: "seen=" in request.url, timeout=1_500):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_it_stops_when_the_login_is_gone(page, asked):
    page.goto(ADMIN)
    page.context.clear_cookies()
    expect(status(page)).to_have_text("Stopped: you are logged out. Reload the page.")
    asked.clear()
    page.wait_for_timeout(LONGER_THAN_A_ROUND)

    assert asked == []
    expect(page.locator("#result_list")).to_be_visible()
    expect(page.locator("#dbroute-live button")).to_be_hidden()


def test_it_stops_when_the_server_refuses(page, asked, watch):
    watch.expect("403")
    page.goto(ADMIN)
    page.route("**/*seen=*", lambda route: route.fulfill(status=403, body="<h1>No</h1>"))
    expect(status(page)).to_have_text("Stopped: the server refused. Reload the page.")
    asked.clear()
    page.wait_for_timeout(LONGER_THAN_A_ROUND)

    assert asked == []
    expect(page.locator("#result_list")).to_be_visible()


def test_it_goes_on_when_the_server_was_away(page, watch):
    watch.expect("ERR_CONNECTION_REFUSED")
    page.goto(ADMIN)
    page.route("**/*seen=*", lambda route: route.abort("connectionrefused"))
    expect(status(page)).to_have_text("No answer from the server; still asking.")
    page.unroute("**/*seen=*")

    expect(status(page)).to_have_text("Live: new traces appear here.")
    assert not any("htmx" in complaint for complaint in watch.complaints)


def test_two_selected_traces_are_compared(page):
    page.goto(ADMIN)
    page.locator(".action-select").nth(0).check()
    page.locator(".action-select").nth(1).check()
    page.get_by_role("button", name="Compare").click()

    expect(page.get_by_role("heading", name="Compare two traces")).to_be_visible()
    first = page.locator(".dbroute-one a").first.inner_text()
    page.get_by_role("link", name="Swap A and B").click()
    expect(page.locator(".dbroute-one a").last).to_have_text(first)


def test_one_box_selects_all_of_the_page(page):
    page.goto(ADMIN)
    page.get_by_label("Select all traces of this page").check()
    boxes = page.locator(".action-select")
    assert all(boxes.nth(place).is_checked() for place in range(boxes.count()))


def test_the_format_is_asked_for_where_it_matters(page):
    page.goto(ADMIN)
    actions, of_exports = page.locator("select[name=action]"), page.locator("select[name=format]")
    expect(of_exports).to_be_hidden()
    actions.select_option("export_selected")
    expect(of_exports).to_be_visible()
    actions.select_option("compare")
    expect(of_exports).to_be_hidden()


@pytest.mark.parametrize("page", [{"javascript": False}], indirect=True, ids=str)
def test_without_javascript_nothing_is_live_and_all_can_be_done(page, asked):
    page.goto(ADMIN)
    expect(page.locator("#dbroute-live")).to_be_hidden()
    page.wait_for_timeout(LONGER_THAN_A_ROUND)
    assert asked == []

    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_text("Select exactly two traces to compare; 0 were selected.")).to_be_visible()
    page.locator(".action-select").nth(0).check()
    page.locator(".action-select").nth(1).check()
    page.locator("select[name=action]").select_option("compare")
    page.get_by_role("button", name="Go").click()
    expect(page.get_by_role("heading", name="Compare two traces")).to_be_visible()


@pytest.mark.parametrize("page", [{"width": 360}], indirect=True, ids=str)
@pytest.mark.parametrize("where", ["list", "compare"])
def test_a_narrow_screen_needs_no_scrolling_to_the_side(page, site, watch, where):
    one, other = site.traces["stale"], site.traces["moving"]
    page.goto(ADMIN if where == "list" else f"{ADMIN}compare/?a={one}&b={other}")
    watch.wait_until_quiet(page)

    assert page.evaluate("document.documentElement.scrollWidth") == 360
    wide = page.evaluate(
        "[...document.querySelectorAll('.dbroute-wide')].filter(e => e.scrollWidth > e.clientWidth).length"
    )
    assert wide == 0


def test_a_line_is_two_lines_and_the_bar_tall_at_most(page):
    page.goto(ADMIN)
    rows = page.locator("#result_list tbody tr")
    heights = {
        rows.nth(place).inner_text(): rows.nth(place).bounding_box()["height"]
        for place in range(rows.count())
    }
    assert {text: height for text, height in heights.items() if height > 64} == {}
