from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import forking
from tests.docs.project import Project
from tests.docs.running import Page

SETTINGS = """
INSTALLED_APPS += ["library", "dbroute_panel"]
MIDDLEWARE = ["dbroute_panel.middleware.TraceMiddleware", *MIDDLEWARE]
"""
MODELS = """from django.db import models


class Person(models.Model):
    name = models.CharField(max_length=100)


class Book(models.Model):
    title = models.CharField(max_length=100)
    author = models.ForeignKey(Person, on_delete=models.CASCADE)
"""


@pytest.fixture(scope="session")
def base_project(tmp_path_factory) -> Path:
    """A project as the how-tos take it for granted: dbroute_panel is installed, and there is an app."""
    folder = tmp_path_factory.mktemp("base") / "mysite"
    folder.mkdir()
    for command in (["startproject", "mysite", "."], ["startapp", "library"]):
        subprocess.run([forking.python(), "-m", "django", *command], cwd=folder, check=True)
    (folder / "library/models.py").write_text(MODELS)
    with (folder / "mysite/settings.py").open("a") as file:
        file.write(SETTINGS)
    return folder


@pytest.fixture
def page(request, tmp_path) -> Page:
    """Runs the blocks of a page; nothing is made that none of them needs."""

    def project(order: str | None) -> Project:
        base = request.getfixturevalue("base_project") if order else None
        home = tmp_path / "home"
        home.mkdir()
        return Project(home, base=base)

    def site() -> None:
        request.getfixturevalue("site")
        request.getfixturevalue("store")

    def checkout() -> Project:
        home = tmp_path / "checkout"
        home.mkdir()
        return Project(home, data=request.getfixturevalue("site_template"))

    return lambda order: Page(tmp_path, lambda: project(order), site, checkout)
