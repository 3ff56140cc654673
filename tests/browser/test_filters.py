"""A filter that htmx sends: its address, what is wrong with it, and the links around the list."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.pages import SHOWN


@pytest.fixture
def trace(page, site):
    SHOWN["trace"].reach(page, site)
    return page


def lanes(page):
    return [link.get_attribute("href") for link in page.locator(".dbroute-lane-name a").all()]


def test_the_address_has_what_was_filled_in_and_no_empty_field(trace):
    trace.get_by_label("Model").select_option("library.Book")

    expect(trace).to_have_url(re.compile(r"\?model=library\.Book$"))


def test_a_filter_can_be_cleared_as_soon_as_it_is_set(trace):
    expect(trace.get_by_role("link", name="Clear the filter")).to_have_count(0)
    trace.get_by_label("Model").select_option("library.Book")
    trace.get_by_role("link", name="Clear the filter").click()

    expect(trace).to_have_url(re.compile(r"/change/$"))


def test_the_timeline_s_links_keep_the_filter_that_was_set_since_and_none_that_was_taken_away(trace):
    assert all("model=" not in href for href in lanes(trace))
    trace.get_by_label("Model").select_option("library.Book")
    expect(trace).to_have_url(re.compile("model="))
    assert lanes(trace)
    assert all("model=library.Book" in href for href in lanes(trace))
    trace.get_by_label("Model").select_option("")
    expect(trace).not_to_have_url(re.compile("model="))

    assert all("model=" not in href for href in lanes(trace))


@pytest.mark.parametrize("typed", ["-1", "--5"])
@pytest.mark.parametrize("shown", ["trace", "list"])
def test_what_cannot_be_is_said_in_words(page, site, watch, shown, typed):
    watch.expect(r"status( of)? 400")
    SHOWN[shown].reach(page, site)
    label, message = {
        "trace": ("At least (ms)", "At least (ms): "),
        "list": ("At least ms", "At least ms: a whole number"),
    }[shown]
    page.get_by_label(label).press_sequentially(typed)

    expect(page.locator(".errornote, .errorlist").first).to_contain_text(message)
