"""axe-core, which knows the rules of accessibility. All of them are on, as it comes."""

from __future__ import annotations

from functools import cache

from playwright.sync_api import Page

from tests.browser.site import ROOT

AXE = ROOT / ".cache" / "browser" / "node_modules" / "axe-core" / "axe.min.js"

RUN = """async within => {
  const { violations } = await axe.run(within, { resultTypes: ["violations"] });
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target.join(" ")}: ${failureSummary}`));
}"""


def violations(page: Page, within: object) -> list[str]:
    """What axe-core finds ``within`` a part of the page (a context of axe's)."""
    # Not a script of the page: the policy would not let it in. It is large, and stays where it is.
    if not page.evaluate("'axe' in window"):
        page.evaluate(source())
    return page.evaluate(RUN, within)


@cache
def source() -> str:
    if not AXE.exists():
        raise FileNotFoundError(f"{AXE} is not there. Run: make test-browser")
    return AXE.read_text()
