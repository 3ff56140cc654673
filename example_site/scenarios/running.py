"""
Runs a scenario: here, or in a process of its own where it needs other settings or databases.

The button on the front page and the tests both call ``run()``.
"""

from __future__ import annotations

import contextvars
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from django.conf import settings
from django.test import Client

from dbroute_panel import trace
from dbroute_panel.stores import SQLiteStore, get_store
from example_site.replication import files
from example_site.scenarios.registry import Scenario

TIMEOUT = 60


@dataclass
class Part:
    """What one run under one settings module put out: ``traces`` are ids, ``error`` is unexpected."""

    settings: str
    lines: list[str] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)
    error: str | None = None

    def as_json(self) -> str:
        return json.dumps(asdict(self))


def run(scenario: Scenario) -> list[Part]:
    """Run it as its registration says; what it left is in the store of traces when this returns."""
    if not scenario.has_own_process:
        # In an empty context there is no trace that this one would join: not that of the button's request.
        return [contextvars.Context().run(run_here, scenario)]
    modules = scenario.settings or ("example_site.settings",)
    return [_run_elsewhere(scenario, module) for module in modules]


def run_here(scenario: Scenario) -> Part:
    """Run it in this process, with the settings that are in force. An exception ends it, and is told."""
    part = Part(settings=os.environ["DJANGO_SETTINGS_MODULE"])
    if scenario.prepare:
        scenario.prepare()
    if scenario.makes_requests:
        client = TracedClient()
        _listen(scenario.function(client), part)
        part.traces = client.traces
    else:
        with trace(scenario.name, kind=scenario.kind) as t:
            _listen(scenario.function(), part)
        part.traces = [t.id]
        if scenario.afterwards:
            _listen(scenario.afterwards(t.document), part)
    return part


def _listen(lines: Iterable[str], part: Part) -> None:
    try:
        part.lines.extend(lines)
    except Exception as error:  # noqa: BLE001  (a page of ours shows it; the trace is worth most when something failed)
        part.error = f"{type(error).__name__}: {error}"


class TracedClient(Client):
    """Makes requests of the site, without a server, and remembers which trace each one left."""

    def __init__(self) -> None:
        # From an address that the debug toolbar does not know: it is in the middle of the button's request.
        super().__init__(raise_request_exception=False, REMOTE_ADDR="192.0.2.1", SERVER_NAME="localhost")
        self.traces: list[str] = []

    def request(self, **request):
        response = super().request(**request)
        if trace_id := response.headers.get("Dbroute-Trace-Id"):
            self.traces.append(trace_id)
        return response


def _run_elsewhere(scenario: Scenario, module: str) -> Part:
    store = get_store()
    if not isinstance(store, SQLiteStore):
        raise TypeError(f"Another process cannot save its traces to a {type(store).__name__}.")
    with tempfile.TemporaryDirectory(prefix="example-site-") as scratch:
        environ = os.environ | {
            "EXAMPLE_SITE_DATA": str(settings.DATA),
            "EXAMPLE_SITE_TRACES": str(store.path),
        }
        if scenario.databases != "site":
            # A server is not copied: such a scenario always runs on files.
            environ |= {"EXAMPLE_SITE_DATA": scratch, "EXAMPLE_SITE_DATABASES": "files"}
        if scenario.databases == "copy" and settings.CONFIGURATION == "files":
            files.copy_databases(Path(scratch))
        elif scenario.databases == "copy":
            _manage(
                "setup_demo", "--verbosity=0", "--settings=example_site.settings", environ=environ
            ).check_returncode()
        finished = _manage("run_scenario", str(scenario.number), f"--settings={module}", environ=environ)
    if finished.returncode:
        reason = (finished.stderr.strip() or f"exit code {finished.returncode}").splitlines()[-1]
        return Part(settings=module, error=reason)
    return Part(**json.loads(finished.stdout.splitlines()[-1]))


def _manage(*arguments: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A command of the example site in a process of its own."""
    return subprocess.run(
        [PYTHON, "-m", "example_site", *arguments],
        cwd=settings.BASE_DIR,
        env=environ,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


PYTHON = sys.executable
"""What runs a scenario in a process of its own."""
