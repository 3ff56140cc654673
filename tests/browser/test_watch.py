"""The watch itself: what it notices, so that the silence of the other tests means something."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect


@pytest.mark.parametrize("page", [{"javascript": True}, {"javascript": False}], indirect=True, ids=str)
@pytest.mark.parametrize(
    ("kind", "noticed"),
    [
        ("inline-style", "console error: .*violates the following Content Security Policy directive"),
        ("other-host", "console error: .*violates the following Content Security Policy directive"),
        ("missing-image", r"status 404: GET http://\S+/static/missing.png"),
    ],
)
def test_what_a_page_may_not_load_is_noticed_with_and_without_javascript(page, watch, kind, noticed):
    page.goto(f"/wrong/{kind}/")
    watch.wait_until_quiet(page)

    assert any(re.search(noticed, complaint) for complaint in watch.complaints), watch.complaints
    watch.expect(".")


@pytest.mark.parametrize(
    ("kind", "noticed"),
    [
        ("inline-script", "violates the following Content Security Policy directive"),
        ("message", "console warning: deprecated"),
        ("error", "error: Cannot read properties of null"),
    ],
)
def test_what_a_script_says_and_how_it_fails_is_noticed(page, watch, kind, noticed):
    page.goto(f"/wrong/{kind}/")
    watch.wait_until_quiet(page)

    assert any(noticed in complaint for complaint in watch.complaints), watch.complaints
    watch.expect(".")


def test_what_a_page_loads_late_and_one_after_the_other_is_noticed(page, watch):
    page.goto("/wrong/late/")
    watch.wait_until_quiet(page)

    assert any("status 404" in complaint for complaint in watch.complaints), watch.complaints
    watch.expect("404")


def test_what_never_ends_is_named(page, watch):
    page.goto("/wrong/nothing/")
    watch.wait_until_quiet(page)
    page.route("**/never/", lambda route: None)
    page.evaluate("void fetch('/never/')")

    with pytest.raises(AssertionError, match=r"still open: GET http://\S+/never/$"):
        watch.wait_until_quiet(page, timeout=1_000)
    watch.expect("/never/")


def test_a_page_that_is_as_it_should_be_leaves_nothing_to_complain_of(page, watch):
    page.goto("/wrong/nothing/")

    expect(page.get_by_text("Nothing is wrong here.")).to_be_visible()
    assert watch.complaints == []


def test_only_what_a_test_expects_is_left_out(watch):
    watch.complain("status 404: GET /a")
    watch.complain("status 500: GET /b")

    watch.expect("status 404")
    assert watch.unexpected == ["status 500: GET /b"]
