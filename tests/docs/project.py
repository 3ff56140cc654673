"""
The project of somebody who types what a page says: a folder, in which commands run as in a shell.

What a page calls settings is appended to the settings and loaded by ``manage.py check``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from dbroute_panel.stores import SQLiteStore
from tests import forking
from tests.docs.pages import ROOT
from tests.packaging.browser import free_port
from tests.waiting import PATIENCE_SECONDS, until

HOME = "/home/you"
"""Where the pages say that the project is."""

FOREIGN = ("COVERAGE_PROCESS_CONFIG", "DJANGO_SETTINGS_MODULE", "EXAMPLE_SITE_TRACES", "PYTEST_ADDOPTS")


def answered(request: urllib.request.Request) -> Any:
    """The response, an error page too; None while nobody listens yet."""
    try:
        return urllib.request.urlopen(request)
    except urllib.error.HTTPError as error:
        return error
    except urllib.error.URLError:
        return None


class Project:
    """
    ``home``: an empty folder.

    ``base``: a project to begin with. ``data``: of the example site; then the folder is the checkout.
    """

    def __init__(self, home: Path, *, base: Path | None = None, data: Path | None = None) -> None:
        self.home = home
        self.folder = home
        if base is not None:
            self.folder = home / "mysite"
            shutil.copytree(base, self.folder)
        self.environment = {key: value for key, value in os.environ.items() if key not in FOREIGN} | {
            "PATH": os.pathsep.join(
                [str(Path(python).parent) for python in (forking.python(), sys.executable)]
                + [os.environ["PATH"]]
            ),
            "XDG_CACHE_HOME": str(home / ".cache"),
            "NO_COLOR": "1",
            "COLUMNS": "80",
        }
        if data is not None:
            self.folder = ROOT
            shutil.copytree(data, home / "data")
            self.environment["EXAMPLE_SITE_DATA"] = str(home / "data")
        self.unchecked = False

    @property
    def settings(self) -> Path:
        (file,) = (path for path in self.folder.glob("*/settings.py") if path.parent.name != "tests")
        return file

    def write(self, name: str, text: str, *, append: bool) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        before = file.read_text(encoding="utf-8") + "\n" if append else ""
        file.write_text(before + text, encoding="utf-8")

    def add_settings(self, text: str) -> None:
        """Appended; they are loaded before the next command, or by ``check()``."""
        self.write(str(self.settings.relative_to(self.folder)), text, append=True)
        self.unchecked = True

    def check(self) -> None:
        """Load the settings that were added."""
        if self.unchecked:
            self.unchecked = False
            code, said = self.run("python manage.py check --fail-level WARNING")
            assert code == 0, said

    def run(self, command: str) -> tuple[int, str]:
        """The exit code, and what was printed, with the folder where the pages have it."""
        if command.startswith("cd "):
            self.folder = (self.folder / command.removeprefix("cd ")).resolve(strict=True)
            return 0, ""
        if command.startswith("manage.py"):
            command = f"python {command}"
        finished = subprocess.run(
            command,
            shell=True,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return finished.returncode, finished.stdout.replace(str(self.home), HOME)

    def get(self, path: str) -> str:
        """The status of what ``runserver`` answers a browser, and the text where that is no error page."""
        port = free_port()
        server = subprocess.Popen(
            [forking.python(), "manage.py", "runserver", "--noreload", str(port)],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # As a browser asks: Django's page with the error is another one for it.
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept": "text/html"})
        try:
            with until(lambda: answered(request), pause=0.1) as response:
                self.wait_for(response.headers["Dbroute-Trace-Id"])
                text = response.read().decode() if response.status < 400 else ""
                return f"{response.status} {text}".strip()
        finally:
            server.terminate()
            server.wait()

    def wait_for(self, trace_id: str) -> None:
        """A trace is saved after its response was sent."""

        def is_there() -> bool:
            for file in self.home.glob(".cache/dbroute-panel/*.sqlite3"):
                store = SQLiteStore(path=str(file))
                found = store.get(trace_id)
                store.close()
                if found is not None:
                    return True
            return False

        until(is_there, pause=0.1)
