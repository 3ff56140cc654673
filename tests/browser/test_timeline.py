"""The timeline and the panel as they are seen: by keyboard, in every scheme, in both directions."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

COLOURS = """(element, names) => {
    const style = getComputedStyle(element);
    return Object.fromEntries(names.map(name => [name, style.getPropertyValue(name)]));
}"""


def styles(locator, *names: str) -> dict[str, str]:
    return locator.evaluate(COLOURS, names)


def shown_in_panel(page: Page):
    """The panel of a page of the site, opened by the toolbar's own button."""
    page.goto("/books/")
    opened = page.locator("#djdt-RoutingPanel a")
    if not opened.is_visible():
        page.locator("#djShowToolBarButton").click()
    opened.click()
    panel = page.locator("#dbroute-panel")
    expect(panel.locator(".dbroute-summary").first).to_be_visible()
    return panel


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.2 for two colours that are written ``rgb(...)`` or ``#rrggbb``."""

    def luminance(colour: str) -> float:
        if colour.startswith("#"):
            colour = colour if len(colour) == 7 else "#" + "".join(c * 2 for c in colour[1:])
            parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
        else:
            parts = [int(part) for part in re.findall(r"\d+", colour)[:3]]
        linear = [
            c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in parts
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_a_bar_is_reached_by_keyboard_shows_its_focus_and_leads_to_its_events(page, site):
    page.goto(site.trace("transactions"))
    skip = page.locator(".dbroute-skip")
    skip.focus()
    expect(skip).to_be_in_viewport()
    assert skip.bounding_box()["width"] > 50
    bar = page.locator(".dbroute-lane svg a").first
    for _ in range(3):  # the lane's name is on the way
        if not bar.evaluate("bar => bar === document.activeElement"):
            page.keyboard.press("Tab")
    expect(bar).to_be_focused()
    hit = styles(bar.locator("path"), "stroke", "stroke-width")
    assert hit["stroke"] == styles(page.locator(".dbroute-lane-name a").first, "color")["color"]
    assert hit["stroke-width"] == "2px"
    count = int(re.match(r"\d+", bar.locator("title").text_content())[0])
    page.keyboard.press("Enter")
    page.wait_for_url("**from_us=**")
    assert page.locator(".dbroute-row-query").count() == min(count, 100)
    expect(page.locator(".dbroute-between")).to_contain_text("ms")


def test_the_skip_link_passes_by_all_bars_and_the_filter(page, site):
    page.goto(site.trace("long"))
    page.locator(".dbroute-skip").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("!!document.activeElement.closest('#dbroute-events')")
    # Before the first row are the other orders and groupings.
    for _ in range(page.locator(".dbroute-ways a").count()):
        page.keyboard.press("Tab")
    expect(page.locator(".dbroute-row > summary").first).to_be_focused()


def test_time_runs_from_left_to_right_in_a_language_that_does_not(browse, site):
    positions = {}
    for locale in ("en", "ar"):
        page = browse(site, locale=locale)
        page.goto(site.trace("long"))
        assert page.evaluate("document.dir || document.documentElement.dir") == (
            "rtl" if locale == "ar" else "ltr"
        )
        bars = page.locator(".dbroute-lane svg").first.locator("rect")
        first, last = bars.first.bounding_box()["x"], bars.last.bounding_box()["x"]
        name = page.locator(".dbroute-lane-name").first.bounding_box()["x"]
        ticks = page.locator(".dbroute-axis text")
        start, end = ticks.first.bounding_box(), ticks.last.bounding_box()
        axis = page.locator(".dbroute-axis svg").bounding_box()
        inside = axis["x"] - 1 <= start["x"] and end["x"] + end["width"] <= axis["x"] + axis["width"] + 1
        positions[locale] = (first <= last, start["x"] < end["x"], name < start["x"], inside)
    assert positions == {"en": (True, True, True, True), "ar": (True, True, False, True)}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_forced_colours_lines_have_the_system_s_and_databases_keep_theirs(browse, site, scheme):
    page = browse(site, scheme=scheme, forced_colors="active")
    page.goto(site.trace("long"))
    text = page.evaluate("""() => {
        const probe = document.body.appendChild(document.createElement("p"));
        probe.style.color = "CanvasText";
        const colour = getComputedStyle(probe).color;
        probe.remove();
        return colour;
    }""")
    bar = page.locator(".dbroute-lane svg rect").first
    assert styles(bar, "stroke")["stroke"] == text
    swatch = page.locator(".dbroute-lane-name .dbroute-swatch").first
    assert styles(swatch, "border-top-color")["border-top-color"] == text
    assert (
        styles(swatch, "background-color")["background-color"]
        != styles(page.locator("body"), "background-color")["background-color"]
    )


def test_where_more_contrast_is_wanted_nothing_is_quiet(browse, site):
    page = browse(site, contrast="more")
    page.goto(site.trace("long"))
    for quiet in (".dbroute-axis text", ".dbroute-summary .dbroute-quiet"):
        name = "fill" if "axis" in quiet else "color"
        foreground = styles(page.locator("#dbroute"), "color")["color"]
        assert styles(page.locator(quiet).first, name)[name] == foreground


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_names_and_totals_of_lanes_are_not_cut(browse, site, scheme, width):
    page = browse(site, scheme=scheme, width=width)
    page.goto(site.trace("long"))
    for part in page.locator(".dbroute-lane-name, .dbroute-lane-total").all():
        box = part.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert part.evaluate("e => e.scrollWidth <= e.clientWidth + 1")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_panel_can_be_read_on_the_toolbar_s_ground(browse, site, scheme):
    panel = shown_in_panel(browse(site, scheme=scheme))
    ground = panel.evaluate("""element => {
        for (let e = element; e; e = e.parentElement) {
            const colour = getComputedStyle(e).backgroundColor;
            if (colour !== "rgba(0, 0, 0, 0)") return colour;
        }
    }""")
    names = [f"--dbroute-{name}" for name in ("fg", "quiet", "link", "bad", "line", "bg", "strip")]
    colours = styles(panel, *names)
    for name in ("fg", "quiet", "link", "bad"):
        for under in (ground, colours["--dbroute-bg"], colours["--dbroute-strip"]):
            assert contrast(colours[f"--dbroute-{name}"], under) >= 4.5, (name, under)
    assert contrast(colours["--dbroute-line"], ground) >= 3
