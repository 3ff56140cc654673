"""The Chromium of the system, driven by Playwright."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser, Page, Playwright

from example_site.services import programs
from tests.browser.site import Site
from tests.browser.watch import TIMEOUT, Watch

QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",
]
# Chromium heeds the last list of features only: what Playwright switches off is in ours, too.
PLAYWRIGHT_S = [
    "AimEnabled",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "TcpPortRandomizationWin",
    "ThirdPartyStoragePartitioning",
]
# Each context is a window to Chromium: with two pages for its address bar, in a process of their own, and one
# more process for a page that may be opened next. Together they took a third of a test's time.
UNUSED = [
    "SpareRendererForSitePerProcess",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxFullPopup",
    "WebUIOmniboxPopup",
]


def launch(playwright: Playwright) -> Browser:
    """Raises ``programs.Missing``, which says how to get it, where there is no Chromium on PATH."""
    without = f"--disable-features={','.join([*PLAYWRIGHT_S, *UNUSED])}"
    return playwright.chromium.launch(executable_path=programs.browser(), args=[*QUIET, without])


def open_page(
    browser: Browser,
    site: Site,
    watch: Watch,
    *,
    scheme: str = "light",
    javascript: bool = True,
    width: int = 1280,
    height: int = 900,
    logged_in: bool = True,
    **options: Any,
) -> Page:
    """
    A page of ``site`` in a context of its own, which is watched: to be closed with it.

    ``options`` are Playwright's for a context, such as ``reduced_motion`` or ``locale``.
    """
    context = browser.new_context(
        base_url=site.address,
        color_scheme=scheme,
        java_script_enabled=javascript,
        viewport={"width": width, "height": height},
        timezone_id="UTC",
        **options,
    )
    context.set_default_timeout(TIMEOUT)
    if logged_in:
        context.add_cookies(site.session["cookies"])
    watch.listen_to(context)
    return context.new_page()
