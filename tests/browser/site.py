"""The example site in a process of its own, with data of its own."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.packaging.browser import Browser, free_port, served

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 120
ADMIN = "/admin/dbroute_panel/trace/"


@dataclass(frozen=True)
class Site:
    """``traces``: ids by the names of ``tests.browser.seed``. ``session``: the login, for Playwright."""

    address: str
    data: Path
    traces: dict[str, str]
    session: dict[str, Any]

    def trace(self, name: str) -> str:
        """The path of a trace's page."""
        return f"{ADMIN}{self.traces[name]}/change/"


def seeded(folder: Path) -> Path:
    """``folder`` with the data in it. The first process that asks makes it, the others wait."""
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "traces.json").exists():
            subprocess.run(
                [sys.executable, "-m", "tests.browser.seed"],
                cwd=ROOT,
                env=environment(folder),
                check=True,
                timeout=SECONDS,
            )
    return folder


@contextmanager
def running(data: Path, log: Path, *, with_traces: bool = True) -> Iterator[Site]:
    """Serve a folder of data, and log in as the administrator. Without traces: not even of that."""
    port = free_port()
    command = [sys.executable, "-m", "example_site", "runserver", "--noreload", f"127.0.0.1:{port}"]
    with served(
        command, port=port, folder=ROOT, environment=environment(data), log=log, seconds=SECONDS
    ) as client:
        home = client.log_in("admin", "admin")
        if not with_traces:
            # A trace is saved after its response was sent: not to be saved after all are gone.
            wait_for_trace(client, home.headers["Dbroute-Trace-Id"])
            client.post(ADMIN, action="clear", post="yes")
        cookies = [
            {"name": cookie.name, "value": cookie.value, "url": client.address} for cookie in client.cookies
        ]
        traces = json.loads((data / "traces.json").read_text())
        yield Site(client.address, data, traces, {"cookies": cookies})


def wait_for_trace(client: Browser, trace_id: str) -> None:
    end = time.monotonic() + SECONDS
    while trace_id not in client.get(ADMIN).text:
        assert time.monotonic() < end, f"The trace {trace_id} was not saved in {SECONDS} s"
        time.sleep(0.05)


def environment(data: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EXAMPLE_SITE_")}
    return kept | {"DJANGO_SETTINGS_MODULE": "tests.browser.settings", "EXAMPLE_SITE_DATA": str(data)}
