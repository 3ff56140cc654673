"""
Every page, with JavaScript and without, in both schemes.

Each is visited once with and once without, and then looked at in several ways: as a person's system may want
it (dark, with more contrast, without motion), in a narrow window, on paper. A test's id begins with the
scheme or the width, if it has one; the rest is the visit, whose tests ``conftest`` keeps together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import pytest
from playwright.sync_api import Page

from tests.browser import axe, measures
from tests.browser.chromium import open_page
from tests.browser.pages import SHOWN, Shown, in_scheme
from tests.browser.watch import Watch

AS_IT_COMES = {
    "media": "screen",
    "color_scheme": "light",
    "contrast": "no-preference",
    "forced_colors": "none",
    "reduced_motion": "no-preference",
}


def visits(*, javascript: bool) -> list[object]:
    return [
        pytest.param(
            (shown, javascript),
            id=f"{shown.name}-{'script' if javascript else 'plain'}",
        )
        for shown in SHOWN.values()
        if javascript or not shown.in_toolbar
    ]


with_and_without_javascript = pytest.mark.parametrize(
    "visit", [*visits(javascript=True), *visits(javascript=False)], indirect=True, scope="module"
)
# Colours and motion are those of the style sheets, whether there are scripts or not.
with_javascript = pytest.mark.parametrize("visit", visits(javascript=True), indirect=True, scope="module")
both_schemes = pytest.mark.parametrize("scheme", ["light", "dark"])


@dataclass(frozen=True)
class Visit:
    """``audited`` is the page, or a copy of it: axe-core waits for timers, which need JavaScript."""

    shown: Shown
    page: Page
    audited: Page
    watch: Watch
    looks: dict[Page, tuple[int, dict[str, str]]] = field(default_factory=dict)

    @property
    def ours(self) -> str:
        return self.shown.ours

    def look(self, *, width: Literal[360, 1280] = 1280, audit: bool = False, **media: str) -> Page:
        """
        The page in a window of this width, with ``media`` as Playwright's ``emulate_media()`` has them.

        What is so already is not asked for again: each is a layout, and there are hundreds of looks.
        """
        page = self.audited if audit else self.page
        look = (width, AS_IT_COMES | media)
        before = self.looks.get(page, (0, {}))
        if look == before:
            return page
        if width != before[0]:
            page.set_viewport_size({"width": width, "height": 900})
        if look[1] != before[1]:
            page.emulate_media(**look[1])
            if self.shown.in_toolbar:
                in_scheme(page, self.shown, look[1]["color_scheme"])
        # The admin fades from one colour into the other.
        page.evaluate("document.getAnimations().forEach(one => one.finish())")
        self.looks[page] = look
        return page


@pytest.fixture(scope="module")
def visit(request, browser) -> Iterator[Visit]:
    shown, javascript = request.param
    site = request.getfixturevalue("fresh_site" if shown.fresh else "site")
    watch = Watch()
    if shown.status != 200:
        watch.expect(rf"status( of)? {shown.status}")
    page = open_page(browser, site, watch, javascript=javascript)
    shown.reach(page, site)
    audited = page if javascript else copied(page, open_page(browser, site, Watch()))
    yield Visit(shown, page, audited, watch)
    audited.context.close()
    if audited is not page:
        page.context.close()


def copied(page: Page, copy: Page) -> Page:
    """``page`` as it is now, without its scripts, in another page where JavaScript is on."""
    html = page.content()
    copy.route("**/*.js", lambda route: route.abort())
    copy.route(page.url, lambda route: route.fulfill(body=html, content_type="text/html"))
    copy.goto(page.url)
    return copy


@with_and_without_javascript
@both_schemes
def test_it_says_nothing_and_loads_nothing_that_the_policy_forbids(visit, scheme):
    visit.watch.wait_until_quiet(visit.look(color_scheme=scheme))

    assert visit.watch.unexpected == []


@with_and_without_javascript
@pytest.mark.parametrize("width", [1280, 360])
def test_it_is_never_wider_than_the_window(visit, width):
    assert measures.too_wide(visit.look(width=width)) == []


@with_and_without_javascript
@pytest.mark.parametrize("width", [1280, 360])
def test_no_text_is_drawn_over_another(visit, width):
    # With the title, which is the admin's: our tools are beside it.
    within = "#content" if visit.ours == "#dbroute" else visit.ours

    assert measures.overlapping(visit.look(width=width), within) == []


@with_javascript
@pytest.mark.parametrize("width", [1280, 360])
def test_no_word_of_common_length_is_broken(visit, width):
    assert measures.broken_words(visit.look(width=width), visit.ours, longest=12) == []


@with_and_without_javascript
@both_schemes
def test_axe_finds_nothing(visit, scheme):
    # Of the toolbar only the panel is ours. All other pages are whole, but for the button of Django's admin
    # that chooses the theme: its script gives it its name.
    within = {"include": [["html"]], "exclude": [] if visit.audited is visit.page else [[".theme-toggle"]]}
    if visit.shown.in_toolbar:
        within = {"include": [{"fromShadowDom": ["#djDebugRoot", visit.ours]}]}

    assert axe.violations(visit.look(color_scheme=scheme, audit=True), within) == []


@with_javascript
@both_schemes
def test_text_and_the_borders_of_swatches_can_be_told_from_what_is_behind_them(visit, scheme):
    page = visit.look(color_scheme=scheme)

    assert measures.faint_text(page, visit.ours, least=4.5) == []
    assert measures.faint_borders(page, visit.ours, least=3) == []


@with_javascript
@both_schemes
def test_with_more_contrast_all_text_has_that_of_level_aaa(visit, scheme):
    page = visit.look(color_scheme=scheme, contrast="more")

    assert measures.faint_text(page, visit.ours, least=7) == []


@with_javascript
def test_nothing_moves_for_those_who_want_no_motion(visit):
    assert measures.moving(visit.look(reduced_motion="reduce"), visit.ours) == []
