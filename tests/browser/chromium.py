"""The Chromium of the system, driven by Playwright."""

from __future__ import annotations

from playwright.sync_api import Browser, Playwright

from example_site.services import programs

QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",
]


def launch(playwright: Playwright) -> Browser:
    """Raises ``programs.Missing``, which says how to get it, where there is no Chromium on PATH."""
    return playwright.chromium.launch(executable_path=programs.browser(), args=QUIET)
