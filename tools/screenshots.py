"""
Take the pictures in ``docs/images`` of the real pages: ``make screenshots``.

``make screenshots ALL=folder`` puts every page into that folder, in both colour schemes and as wide as on a
desk and in a hand, for a person to look at.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from example_site.services import programs
from tests.browser import site as sites
from tests.browser.chromium import launch, open_page
from tests.browser.pages import MODEL, SHOWN, in_scheme, open_panel
from tests.browser.site import ADMIN, ROOT, Site
from tests.browser.watch import Watch

IMAGES = ROOT / "docs" / "images"
LARGEST = 200_000
# Where the last whole row above `limit` ends, if the limit cuts one; in the page's coordinates.
LAST_ROW = """limit => {
  const rows = [...document.querySelectorAll("#dbroute tr, #dbroute .dbroute-rows > li")];
  const ends = rows.map(row => row.getBoundingClientRect().bottom + scrollY).filter(end => end <= limit);
  return ends.length && ends.length < rows.length ? Math.max(...ends) : limit;
}"""


@dataclass(frozen=True)
class Picture:
    """A picture: ``part`` of the page is a selector, of which at most ``height`` pixels are shown."""

    name: str
    scheme: str
    take: Callable[[Page, Site], None]
    part: str
    height: int


def trace(page: Page, site: Site) -> None:
    """Open a trace with several deciders, findings of each level and a transaction that was rolled back."""
    page.goto(site.trace("transactions"))
    page.locator(".dbroute-row > summary").filter(has_text="INSERT library_tag").last.click()
    page.get_by_text("called from").filter(visible=True).wait_for()
    page.locator(":focus").blur()


def sandbox(page: Page, site: Site) -> None:
    page.goto(f"{ADMIN}sandbox/")
    page.get_by_label(MODEL).fill("library.Book")
    page.get_by_label("Ask N times").fill("1000")
    page.get_by_role("button", name="Ask the routers").click()
    page.get_by_text("Book would be read from").wait_for()


def panel(page: Page, site: Site) -> None:
    """Open the panel on a page that shows what a replica does not have yet."""
    page.goto("/")
    page.get_by_label("Lag").select_option("until replicate")
    page.get_by_role("button", name="Set").click()
    page.goto("/books/1/")
    page.get_by_label("Another title").fill("Don't Panic")
    page.get_by_role("button", name="Save").click()
    open_panel(page)


PICTURES = [
    Picture("trace", "light", trace, "#content", 1550),
    Picture("sandbox", "light", sandbox, "#content", 900),
    Picture("map", "dark", SHOWN["map"].reach, "#content", 1000),
    Picture("panel", "light", panel, "html", 800),
]


def main(arguments: list[str]) -> int:
    try:
        with browsing() as (browser, site, fresh):
            if arguments:
                take_all(browser, site, fresh, Path(arguments[0]))
            else:
                IMAGES.mkdir(parents=True, exist_ok=True)
                for picture in PICTURES:
                    keep(picture, browser, site)
    except programs.Missing as error:
        print(error, file=sys.stderr)
        return 2
    return 0


@contextmanager
def browsing() -> Iterator[tuple[Browser, Site, Site]]:
    """Start Chromium, the site with traces, and the one without."""
    with tempfile.TemporaryDirectory(prefix="dbroute-panel-screenshots-") as name:
        folder = Path(name)
        with (
            sites.running(sites.seeded(folder / "data"), folder / "log") as site,
            sites.running(sites.seeded(folder / "fresh"), folder / "fresh.log", with_traces=False) as fresh,
            sync_playwright() as playwright,
        ):
            yield launch(playwright), site, fresh


def keep(picture: Picture, browser: Browser, site: Site) -> None:
    """
    Take the picture and write it in less than ``LARGEST`` bytes, with all its colours if that is enough.
    """
    page = open_page(browser, site, Watch(), scheme=picture.scheme, height=800)
    # As wide as the window: the admin's list of models beside it says nothing.
    page.goto(ADMIN)
    page.get_by_role("button", name="Toggle navigation").click()
    picture.take(page, site)
    page.mouse.move(0, 0)
    page.evaluate("scrollTo({ top: 0, behavior: 'instant' })")  # a box is where it is in the window
    box = page.locator(picture.part).first.bounding_box()
    assert box is not None
    bottom = page.evaluate(LAST_ROW, min(box["y"] + box["height"], box["y"] + picture.height))
    taken = page.screenshot(
        full_page=True,
        animations="disabled",
        clip={"x": box["x"], "y": box["y"], "width": box["width"], "height": bottom - box["y"]},
    )
    page.context.close()
    file = IMAGES / f"{picture.name}.png"
    image = Image.open(BytesIO(taken)).convert("RGB")
    image.save(file, optimize=True)
    if file.stat().st_size >= LARGEST:
        few = image.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        few.save(file, optimize=True)
    size = file.stat().st_size
    assert size < LARGEST, f"{file.name} has {size} bytes"
    print(f"{file.relative_to(ROOT)}: {image.width} x {image.height}, {size / 1000:.0f} kB")


def take_all(browser: Browser, site: Site, fresh: Site, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for shown in SHOWN.values():
        its_site = fresh if shown.fresh else site
        page = open_page(browser, its_site, Watch())
        shown.reach(page, its_site)
        for scheme in ("light", "dark"):
            in_scheme(page, shown, scheme)
            for width in (1280, 360):
                page.set_viewport_size({"width": width, "height": 900})
                file = folder / f"{shown.name}-{scheme}-{width}.png"
                page.screenshot(path=file, full_page=not shown.in_toolbar, animations="disabled")
        page.context.close()
        print(shown.name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
