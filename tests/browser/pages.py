"""
Every page there is, as a person gets to it: ``SHOWN``, by name.

Each function takes a page and the site, and leaves the page where it is to be looked at. It uses real links,
forms and buttons only, so that it works with JavaScript and without. A new page is a new function here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.site import ADMIN, Site

Way = Callable[[Page, Site], None]

SHOWN: dict[str, Shown] = {}

MODEL = re.compile("^Model:?$")


@dataclass(frozen=True)
class Shown:
    """
    A page and the way to it.

    ``fresh``: on a site where nothing was recorded or asked yet. ``status``: of its response. ``ours``: the
    selector of what is drawn by us. ``in_toolbar``: the rest of the page is not ours; it needs JavaScript.
    """

    name: str
    reach: Way
    fresh: bool = False
    status: int = 200
    ours: str = "#dbroute"
    in_toolbar: bool = False


def in_scheme(page: Page, shown: Shown, scheme: str) -> None:
    """``page``, which is ``shown``, as somebody sees it whose system is in this scheme."""
    page.emulate_media(color_scheme=scheme)
    if shown.in_toolbar:
        # The toolbar looks for the scheme when its page is loaded, and not again.
        page.locator("#djDebug").evaluate("(root, theme) => { root.dataset.theme = theme; }", scheme)


def shown(
    name: str,
    *,
    fresh: bool = False,
    status: int = 200,
    ours: str = "#dbroute",
    in_toolbar: bool = False,
) -> Callable[[Way], Way]:
    def register(reach: Way) -> Way:
        SHOWN[name] = Shown(name, reach, fresh, status, ours, in_toolbar)
        return reach

    return register


# The traces


@shown("list")
def trace_list(page: Page, site: Site) -> None:
    page.goto(ADMIN)
    expect(page.get_by_role("link", name="a nightly import")).to_be_visible()


@shown("list-empty", fresh=True)
def list_without_traces(page: Page, site: Site) -> None:
    page.goto(ADMIN)
    expect(page.get_by_text("No traces yet")).to_be_visible()


@shown("list-filtered")
def filtered_list(page: Page, site: Site) -> None:
    page.goto(f"{ADMIN}?finding=stale-read")
    expect(page.get_by_role("link", name="a nightly import")).to_have_count(0)
    expect(page.get_by_role("link", name="/title/").first).to_be_visible()


@shown("list-nothing-found")
def list_in_which_nothing_is_found(page: Page, site: Site) -> None:
    page.goto(f"{ADMIN}?path=/no/such/path/")
    expect(page.get_by_text("No trace matches")).to_be_visible()


@shown("list-with-a-message")
def list_after_nothing_was_selected(page: Page, site: Site) -> None:
    page.goto(ADMIN)
    page.get_by_label("Action:").select_option("Delete the selected traces")
    page.get_by_role("button", name="Go", exact=True).click()
    expect(page.get_by_text("nothing was deleted")).to_be_visible()


@shown("delete")
def delete_one(page: Page, site: Site) -> None:
    page.goto(site.trace("stale"))
    page.get_by_role("link", name="Delete").click()
    expect(page.get_by_role("button", name="Yes, I")).to_be_visible()


@shown("clear")
def clear_all(page: Page, site: Site) -> None:
    page.goto(ADMIN)
    page.get_by_label("Action:").select_option("Delete all traces")
    page.get_by_role("button", name="Go", exact=True).click()
    expect(page.get_by_role("button", name="Yes, I")).to_be_visible()


@shown("compare")
def compared(page: Page, site: Site) -> None:
    page.goto(ADMIN)
    page.get_by_label("Select Scenario 13", exact=False).check()
    page.get_by_label("Select Scenario 26", exact=False).check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("link", name="Swap A and B")).to_be_visible()


@shown("import")
def import_form(page: Page, site: Site) -> None:
    page.goto(f"{ADMIN}import/")
    expect(page.get_by_role("button", name="Import")).to_be_visible()


@shown("import-refused", status=400)
def import_of_no_trace(page: Page, site: Site) -> None:
    page.goto(f"{ADMIN}import/")
    page.locator("input[type=file]").set_input_files(
        {"name": "trace.json", "mimeType": "application/json", "buffer": json.dumps({"a": 1}).encode()}
    )
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_role("alert")).to_be_visible()


@shown("no-such-trace", status=404)
def trace_that_is_not_there(page: Page, site: Site) -> None:
    page.goto(f"{ADMIN}{'0' * 32}/change/")
    expect(page.get_by_text("There is no trace")).to_be_visible()


# One trace


@shown("trace")
def trace(page: Page, site: Site) -> None:
    page.goto(site.trace("stale"))
    expect(page.get_by_text("possibly read stale").first).to_be_visible()


def open_the_last_event_of_a_finding(page: Page) -> None:
    findings = page.get_by_role("region", name="Findings")
    findings.get_by_role("link", name=re.compile(r"^#\d+$")).last.click()
    expect(page.get_by_text("called from").filter(visible=True).first).to_be_visible()


@shown("trace-opened")
def trace_with_a_row_opened(page: Page, site: Site) -> None:
    """The read that the finding is about."""
    page.goto(site.trace("stale"))
    open_the_last_event_of_a_finding(page)


@shown("trace-relation")
def trace_with_a_refused_relation(page: Page, site: Site) -> None:
    page.goto(site.trace("relations"))
    open_the_last_event_of_a_finding(page)


@shown("trace-transactions")
def trace_with_transactions(page: Page, site: Site) -> None:
    page.goto(site.trace("transactions"))
    expect(page.get_by_text("partial-commit").first).to_be_visible()


@shown("trace-long")
def trace_with_pages(page: Page, site: Site) -> None:
    page.goto(site.trace("long"))
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_text("Page 2 of")).to_be_visible()


@shown("trace-filtered")
def filtered_trace(page: Page, site: Site) -> None:
    page.goto(f"{site.trace('long')}?db=archive")
    expect(page.locator(".dbroute-row", has_text="archive").first).to_be_visible()


@shown("trace-grouped")
def grouped_trace(page: Page, site: Site) -> None:
    page.goto(site.trace("long"))
    page.get_by_role("link", name="identical statements").click()
    expect(page).to_have_url(re.compile("group="))
    expect(page.get_by_role("link", name="most time first")).to_be_visible()


@shown("trace-nothing-found")
def trace_in_which_nothing_is_found(page: Page, site: Site) -> None:
    page.goto(f"{site.trace('stale')}?q=there+is+no+such+text")
    expect(page.locator(".dbroute-row")).to_have_count(0)


@shown("replay")
def replay(page: Page, site: Site) -> None:
    page.goto(site.trace("walk-through"))
    page.get_by_role("link", name="Replay").click()
    page.get_by_role("button", name="Ask again").click()
    expect(page.get_by_role("region", name="What would change")).to_contain_text("same")


@shown("finding")
def finding(page: Page, site: Site) -> None:
    page.goto(site.trace("stale"))
    page.get_by_role("link", name="stale-read").first.click()
    expect(page.get_by_role("link", name="The traces with this finding")).to_be_visible()


# The routers


@shown("sandbox")
def sandbox(page: Page, site: Site) -> None:
    page.goto(f"{ADMIN}sandbox/")
    expect(page.get_by_text("Nothing was asked yet")).to_be_visible()


@shown("sandbox-answered")
def sandbox_with_an_answer(page: Page, site: Site) -> None:
    page.goto(f"{ADMIN}sandbox/")
    page.get_by_label(MODEL).fill("library.Book")
    page.get_by_label("Ask N times").fill("100")
    page.get_by_role("button", name="Ask the routers").click()
    expect(page.get_by_text("Book would be read from")).to_be_visible()


@shown("sandbox-relation")
def sandbox_with_two_objects(page: Page, site: Site) -> None:
    page.goto(f"{ADMIN}sandbox/?action=allow_relation&model=library.Book&other_model=users.Loan&db=")
    page.get_by_role("button", name="Ask the routers").click()
    expect(page.get_by_text("A relation between")).to_be_visible()


@shown("sandbox-refused", status=400)
def sandbox_with_a_wrong_question(page: Page, site: Site) -> None:
    page.goto(f"{ADMIN}sandbox/")
    page.get_by_label(MODEL).fill("library.Bok")
    page.get_by_role("button", name="Ask the routers").click()
    expect(page.get_by_text("Nothing was asked yet")).to_be_visible()


@shown("map-not-asked", fresh=True)
def map_before_asking(page: Page, site: Site) -> None:
    page.goto(f"{ADMIN}map/")
    expect(page.get_by_text("The routers were not asked yet")).to_be_visible()


@shown("map")
def map_(page: Page, site: Site) -> None:
    page.goto(f"{ADMIN}map/")
    page.get_by_role("button", name="Ask the routers").click()
    expect(page.get_by_role("columnheader", name="Read from")).to_be_attached()


@shown("routers")
def routers(page: Page, site: Site) -> None:
    page.goto(f"{ADMIN}routers/")
    expect(page.get_by_text("PrimaryReplicaRouter").first).to_be_visible()


@shown("routers-fresh", fresh=True)
def routers_without_traces(page: Page, site: Site) -> None:
    page.goto(f"{ADMIN}routers/")
    expect(page.get_by_text("No trace is stored yet")).to_be_visible()


# Elsewhere


def open_panel(page: Page) -> None:
    page.locator("#djShowToolBarButton").click()
    page.get_by_role("link", name="Routing").click()
    expect(page.get_by_role("link", name="The full trace")).to_be_visible()


@shown("panel", ours="#dbroute-panel", in_toolbar=True)
def panel(page: Page, site: Site) -> None:
    """The toolbar's panel on a page of the site."""
    page.goto("/books/1/")
    open_panel(page)


@shown("file", ours="body")
def exported_file(page: Page, site: Site) -> None:
    """The file that a colleague opens without Django."""
    response = page.request.get(f"{ADMIN}{site.traces['stale']}/export/html/")
    file = Path(site.data.parent, "exported", "trace.html")
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(response.body())
    page.goto(file.as_uri())
    expect(page.get_by_text("possibly read stale").first).to_be_visible()
