"""What the pages take from Django's admin, and how the databases look."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.site import ADMIN

THEME = {
    "--body-bg": "rgb(255, 251, 230)",
    "--body-fg": "rgb(18, 52, 86)",
    "--body-quiet-color": "rgb(60, 70, 80)",
    "--darkened-bg": "rgb(250, 240, 200)",
    "--link-fg": "rgb(161, 0, 96)",
    "--hairline-color": "rgb(200, 180, 100)",
}
TAKEN = [
    (".dbroute-what code", "color", "--body-fg"),
    (".dbroute-swatch", "border-top-color", "--body-fg"),
    (".dbroute-where", "color", "--body-quiet-color"),
    (".dbroute-filter", "background-color", "--darkened-bg"),
    (".dbroute-event-link", "color", "--link-fg"),
    (".dbroute-row", "border-bottom-color", "--hairline-color"),
]


def shown(page, selector, style):
    return page.locator(f"#dbroute {selector}").first.evaluate(
        "(element, style) => getComputedStyle(element).getPropertyValue(style)", style
    )


def test_where_the_admin_has_a_theme_it_is_ours_too(page, site):
    page.goto(site.trace("stale"))
    page.evaluate(
        "theme => Object.entries(theme).forEach(one => document.documentElement.style.setProperty(...one))",
        THEME,
    )

    for selector, style, variable in TAKEN:  # the admin's links change their colour little by little
        expect(page.locator(f"#dbroute {selector}").first).to_have_css(style, THEME[variable])


@pytest.mark.parametrize(
    "page", [{"scheme": "light"}, {"scheme": "dark"}], indirect=True, ids=["light", "dark"]
)
def test_a_replica_has_its_primary_s_colour_half_way_to_white(page, site):
    page.goto(site.trace("stale"))
    colours = {}
    for lane in page.locator(".dbroute-lane-name").filter(has=page.locator(".dbroute-swatch")).all():
        said = lane.locator(".dbroute-swatch").evaluate(
            "element => getComputedStyle(element).backgroundColor"
        )
        numbers = [float(number) for number in re.findall(r"[\d.]+", said.removeprefix("color(srgb"))]
        scale = 255 if said.startswith("color(srgb") else 1
        colours[lane.inner_text().split()[0]] = [round(number * scale) for number in numbers[:3]]

    primary = colours.pop("primary")
    assert primary == [0x00, 0x72, 0xB2]
    assert colours
    for alias, colour in colours.items():
        assert alias.startswith("replica")
        assert colour == pytest.approx([(part + 255) / 2 for part in primary], abs=1)


@pytest.mark.parametrize(
    "page", [{"permissions": ["clipboard-read", "clipboard-write"]}], indirect=True, ids=["allowed"]
)
def test_the_question_is_copied_as_python_and_as_a_command(page):
    page.goto(f"{ADMIN}sandbox/?action=db_for_read&model=library.Book")
    page.get_by_role("button", name="Ask the routers").click()
    page.get_by_text("Book would be read from").wait_for()
    copied = []
    for button in page.locator("[data-dbroute-copy]").all():
        button.click()
        expect(button).to_have_text("✓")
        copied.append(page.evaluate("navigator.clipboard.readText()"))

    python, command = copied
    assert python.startswith("from dbroute_panel import explain")
    assert command == "manage.py dbroute explain library.Book db_for_read"
