"""Scenario 25 as a person sees it: in Chromium, on the site that ``make demo-services`` serves."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from example_site.library.models import Book
from example_site.scenarios.lagging_replicas import NEW, OLD
from example_site.services import programs
from tests.browser.chromium import launch
from tests.browser.watch import TIMEOUT
from tests.packaging.browser import free_port, served

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True)
def chromium():
    """Skip these tests where there is no Chromium, and fail in CI, which has to run them."""
    try:
        programs.browser()
    except programs.Missing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


@pytest.fixture
def address(site, tmp_path):
    port = free_port()
    command = [sys.executable, "-m", "example_site", "runserver", "--noreload", f"127.0.0.1:{port}"]
    environ = os.environ | {"DJANGO_SETTINGS_MODULE": "example_site.settings"}
    with served(command, port=port, folder=ROOT, environment=environ, log=tmp_path / "log") as browser:
        yield browser.address


@pytest.fixture(params=["light", "dark"])
def page(request, address):
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(base_url=address, color_scheme=request.param)
        page.set_default_timeout(TIMEOUT)
        yield page
        browser.close()


def keep_picture(page, name):
    """In the folder that ``EXAMPLE_SITE_PICTURES`` names, for a person to look at."""
    if folder := os.environ.get("EXAMPLE_SITE_PICTURES"):
        scheme = "dark" if page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else "light"
        page.screenshot(path=Path(folder, f"{name}-{scheme}.png"), full_page=True)


def test_25_shows_the_row_that_the_lagging_replica_returned(page):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto("/")
    expect(page.get_by_text("recovery_min_apply_delay")).to_be_visible()
    keep_picture(page, "front")
    page.get_by_role("button", name="Run scenario 25", exact=True).click()

    output = page.locator("ol.output li")
    expect(output).to_have_text(
        [
            f"On primary, the book is “{NEW}” now",
            f"The page that saved it shows “{OLD}”",
            f"The next page, when the replicas have caught up: “{NEW}”",
        ]
    )
    keep_picture(page, "scenario-25")

    page.get_by_role("link", name="/title/ 200").click()
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill("admin")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text(re.compile(r"possibly read stale from replica[12]"))).to_be_visible()
    expect(page.get_by_text("UPDATE").first).to_be_visible()
    keep_picture(page, "trace")
    assert errors == []


@pytest.fixture
def book(site):
    """The first one, which has its title back afterwards."""
    book = Book.objects.using("primary").get(pk=1)
    yield book
    book.save(using="primary")


@pytest.mark.parametrize("page", ["dark"], indirect=True)
def test_a_person_sees_the_old_title_until_the_replicas_have_caught_up(book, page):
    heading = page.get_by_role("heading", level=1)
    page.goto("/")
    page.get_by_label("Lag").select_option("until replicate")
    page.get_by_role("button", name="Set").click()
    page.goto("/books/1/")
    page.get_by_label("Another title").fill("Don't Panic")
    page.get_by_role("button", name="Save").click()
    expect(page).to_have_url(re.compile("/title/"))
    expect(heading).to_have_text(book.title)
    page.goto("/")
    expect(page.get_by_text("replica1 and replica2 are behind the primary.")).to_be_visible()
    keep_picture(page, "behind")
    page.get_by_role("button", name="Replicate now").click()
    expect(page.get_by_text("Both hold what the primary holds.")).to_be_visible()
    page.goto("/books/1/")
    expect(heading).to_have_text("Don't Panic")
