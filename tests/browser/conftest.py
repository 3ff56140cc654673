"""
Pages in Chromium, on a site of their own: ``make test-browser``.

Each process (each worker of pytest-xdist) has one browser and one site; every test has a context of its own
in that browser, logged in, whose pages are all watched.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from example_site.services import programs
from tests.browser import site as sites
from tests.browser.chromium import TIMEOUT, launch, open_page
from tests.browser.site import Site
from tests.browser.watch import Watch

# Another process may have the processor.
expect.set_options(timeout=TIMEOUT)

Browse = Callable[..., Page]

VISIT = re.compile(r"/test_pages\.py::\w+\[(?:(?:light|dark|\d+)-)?(?P<visit>[\w-]+)\]$")
MODULE_WITH_A_SITE = "/test_live_traces.py::"


class Together(LoadScopeScheduling):
    """
    One worker gets all that shares a fixture which takes seconds to make, and who is free the others.

    Not ``--dist loadgroup``, which with pytest 9.2 takes no notice of the groups (pytest-xdist's issue 1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        if found := VISIT.search(nodeid):
            return found["visit"]
        return MODULE_WITH_A_SITE if MODULE_WITH_A_SITE in nodeid else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    return Together(config, log)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        try:
            browser = launch(playwright)
        except programs.Missing as error:
            pytest.exit(str(error), returncode=2)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The data, made once for all workers."""
    base = tmp_path_factory.getbasetemp()
    return sites.seeded((base if worker_id == "master" else base.parent) / "seeded")


@pytest.fixture(scope="session")
def site(seeded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site with traces in it. A test that adds one or takes one away leaves the others as they were."""
    folder = tmp_path_factory.mktemp("site")
    with sites.running(shutil.copytree(seeded, folder / "data"), folder / "log") as site:
        yield site


@pytest.fixture(scope="session")
def fresh_site(seeded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site on which nothing was recorded and nothing asked yet. It must stay so."""
    folder = tmp_path_factory.mktemp("fresh")
    data = shutil.copytree(seeded, folder / "data")
    with sites.running(data, folder / "log", with_traces=False) as site:
        yield site


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def browse(browser: Browser, watch: Watch) -> Iterator[Browse]:
    """
    Opens pages: ``browse(site, javascript=False)``, as ``chromium.open_page()`` has it.

    At the end of the test nothing unexpected must have been noticed on any of them.
    """
    with ExitStack() as contexts:

        def browse(site: Site, **options: Any) -> Page:
            page = open_page(browser, site, watch, **options)
            contexts.callback(page.context.close)
            return page

        yield browse
    assert watch.unexpected == []


@pytest.fixture
def page(request: pytest.FixtureRequest, browse: Browse, site: Site) -> Page:
    """A page of ``site``; ``parametrize("page", [{"scheme": "dark"}], indirect=True)`` for another kind."""
    return browse(site, **getattr(request, "param", {}))
