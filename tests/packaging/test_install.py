"""The README's installation to the letter: the wheel, a fresh environment, a fresh project, real HTTP."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.parse
from contextlib import AbstractContextManager
from pathlib import Path

import django
import pytest

from tests.packaging.browser import Browser, free_port, served
from tests.packaging.conftest import ROOT

README = (ROOT / "README.md").read_text()

# What the debug toolbar's own installation page asks for.
TOOLBAR_SETTINGS = """
INSTALLED_APPS += ["debug_toolbar"]
MIDDLEWARE.insert(0, "debug_toolbar.middleware.DebugToolbarMiddleware")
INTERNAL_IPS = ["127.0.0.1"]
"""
TOOLBAR_URLS = """
from debug_toolbar.toolbar import debug_toolbar_urls
urlpatterns += debug_toolbar_urls()
"""

FIXTURE_TEST = """
def test_fixture(route_trace, db):
    from django.contrib.auth.models import Group

    Group.objects.create(name="editors")
    route_trace.assert_queries("default", 1)
    assert route_trace.decisions[0].model == "auth.Group"
"""


def settings_block() -> str:
    """The first Python block under "Install"."""
    block = re.search(r"^## Install$.*?^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    assert block is not None
    return block[1]


def without_the_toolbar(block: str) -> str:
    return "".join(line for line in block.splitlines(keepends=True) if "debug_toolbar" not in line.lower())


class Project:
    """A fresh ``django-admin startproject`` with an environment of its own."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder / "site"
        self.bin = folder / "venv" / "bin"
        self.environment = environment | {"DJANGO_SUPERUSER_PASSWORD": "secret"}
        self.written: dict[Path, str] = {}
        self.run(sys.executable, "-m", "venv", str(folder / "venv"))

    def run(self, *command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=self.environment)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def install(self, *requirements: str) -> None:
        pip = [str(self.bin / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        self.run(*pip, "--no-compile", *requirements)  # little of it is imported here

    def start(self) -> None:
        self.folder.mkdir()
        self.run(str(self.bin / "django-admin"), "startproject", "mysite", str(self.folder))

    def manage(self, *arguments: str) -> str:
        return self.run(str(self.bin / "python"), str(self.folder / "manage.py"), *arguments)

    def end(self, file: str, text: str) -> None:
        """``text`` is all that follows on what ``startproject`` has written into ``file``."""
        path = self.folder / "mysite" / file
        written = self.written.setdefault(path, path.read_text())
        path.write_text(f"{written}\n{text}\n")

    def served(self) -> AbstractContextManager[Browser]:
        port = free_port()
        command = [str(self.bin / "python"), "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"]
        log = self.folder.parent / "runserver.log"
        return served(command, port=port, folder=self.folder, environment=self.environment, log=log)


def test_three_settings_are_all_that_the_readme_asks_for() -> None:
    names = [line.split()[0] for line in settings_block().splitlines() if line]
    assert names == ["from", "INSTALLED_APPS", "MIDDLEWARE", "DEBUG_TOOLBAR_PANELS"]


def test_a_project_without_the_toolbar_leaves_out_two_lines() -> None:
    names = [line.split()[0] for line in without_the_toolbar(settings_block()).splitlines() if line]
    assert names == ["INSTALLED_APPS", "MIDDLEWARE"]


@pytest.mark.slow
def test_a_fresh_project_gets_the_admin_pages_and_then_the_toolbar_panel(
    distributions: tuple[Path, Path], clean_environment: dict[str, str], tmp_path: Path
) -> None:
    _, wheel = distributions
    block = settings_block()
    project = Project(tmp_path, clean_environment)

    # Without the toolbar: the admin pages alone.
    project.install(f"Django=={django.__version__}", str(wheel))
    assert "debug-toolbar" not in project.run(str(project.bin / "python"), "-m", "pip", "freeze")
    project.start()
    project.end("settings.py", without_the_toolbar(block))
    assert "no issues" in project.manage("check")
    assert "Nothing is wrong with the routing" in project.manage("dbroute", "lint")
    assert re.search(
        r"^auth\.User +default +default +default$", project.manage("dbroute", "map"), re.MULTILINE
    )
    assert "No changes detected" in project.manage("makemigrations", "--check", "--dry-run")
    project.manage("migrate", "--verbosity", "0")
    project.manage("createsuperuser", "--noinput", "--username", "admin", "--email", "admin@example.com")
    with project.served() as browser:
        browser.log_in("admin", "secret")
        trace_id = browser.get("/admin/").headers["Dbroute-Trace-Id"]
        assert re.fullmatch(r"[0-9a-f]{32}", trace_id)
        assert trace_id in browser.get("/admin/dbroute_panel/trace/").text
        assert "django_session" in browser.get(f"/admin/dbroute_panel/trace/{trace_id}/change/").text
        document = json.loads(browser.get(f"/admin/dbroute_panel/trace/{trace_id}/export/json/").text)
        assert document["id"] == trace_id
        assert {event["alias"] for event in document["events"] if event["type"] == "query"} == {"default"}
        browser.get("/admin/dbroute_panel/trace/sandbox/")
        for file in (ROOT / "static").rglob("*.*"):
            browser.get(f"/static/{file.relative_to(ROOT / 'static').as_posix()}")

    # With the toolbar, and the whole block.
    project.install(f"{wheel}[toolbar]")
    project.end("settings.py", f"{TOOLBAR_SETTINGS}\n{block}")
    project.end("urls.py", TOOLBAR_URLS)
    assert "no issues" in project.manage("check")
    project.manage("migrate", "--verbosity", "0")
    with project.served() as browser:
        browser.log_in("admin", "secret")
        page = browser.get("/admin/")
        assert 'id="djDebug"' in page.text
        assert "RoutingPanel" in page.text
        shown = {"request_id": page.headers["djdt-request-id"], "panel_id": "RoutingPanel"}
        answer = browser.get(f"/__debug__/render_panel/?{urllib.parse.urlencode(shown)}")
        content = json.loads(answer.text)["content"]
        trace_id = page.headers["Dbroute-Trace-Id"]
        assert trace_id in content
        assert "django_session" in content
        assert trace_id in browser.get(f"/admin/dbroute_panel/trace/{trace_id}/change/").text


@pytest.mark.slow
def test_the_pytest_plugin_comes_with_the_wheel(
    distributions: tuple[Path, Path], clean_environment: dict[str, str], tmp_path: Path
) -> None:
    """With pytest-django, and in a project without, whose other tests go on."""
    _, wheel = distributions
    project = Project(tmp_path, clean_environment)
    project.install(f"Django=={django.__version__}", str(wheel), "pytest")
    project.start()
    project.end("settings.py", without_the_toolbar(settings_block()))
    project.manage("migrate", "--verbosity", "0")
    (project.folder / "test_fixture.py").write_text(FIXTURE_TEST)
    (project.folder / "test_plain.py").write_text("def test_plain():\n    pass\n")
    pytest_here = [
        str(project.bin / "python"),
        "-m",
        "pytest",
        "--rootdir",
        str(project.folder),
        "-p",
        "no:cacheprovider",
    ]

    assert "1 passed" in project.run(*pytest_here, str(project.folder / "test_plain.py"))
    with pytest.raises(AssertionError, match="install pytest-django"):
        project.run(*pytest_here, str(project.folder / "test_fixture.py"))

    project.install("pytest-django")
    (project.folder / "pytest.ini").write_text(
        "[pytest]\nDJANGO_SETTINGS_MODULE = mysite.settings\npythonpath = .\n"
    )
    assert "2 passed" in project.run(*pytest_here, str(project.folder))
