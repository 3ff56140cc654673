"""
Where a library's tests run: its sdist, its environment, and the folders of this repository that it finds.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import django

from tools.libraries.suites import Suite
from tools.watched.sdist import ROOT, normal, pip, sdist

CACHE = ROOT / ".cache/libraries"
OURS = {
    "dbroute_panel": ROOT / "dbroute_panel",
    "dbroute_watched": ROOT / "tools/watched",
    "dbroute_settings": ROOT / "tools/libraries/settings",
}
"""The names under which the libraries' processes find our folders: a library may have its own ``tests``."""


def source(suite: Suite) -> Path:
    """Return the folder with the library's sdist."""
    return sdist(suite.project, suite.version, CACHE)


def ours() -> Path:
    """
    Return a folder for ``PYTHONPATH`` with a link to each of ``OURS``, and nothing else of this repository.
    """
    folder = CACHE / "ours"
    folder.mkdir(parents=True, exist_ok=True)
    for name, target in OURS.items():
        link = folder / name
        if not link.is_symlink() or link.readlink() != target:
            link.unlink(missing_ok=True)
            link.symlink_to(target)
    return folder


def python(suite: Suite) -> Path:
    """
    Return the Python of an environment for the library, its tests and dbroute_panel.

    dbroute_panel itself is not installed: pytest would load its plugin, also in the run without it.
    """
    here = f"python{sys.version_info.major}.{sys.version_info.minor}-django{django.get_version()}"
    folder = CACHE / "environments" / f"{normal(suite.project)}-{suite.version}-{here}"
    stamp = folder / "installed"
    wanted = "\n".join(requirements(suite))
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", folder], check=True)
        pip("--python", str(folder / "bin/python"), "install", *requirements(suite))
        stamp.write_text(wanted)
    return folder / "bin/python"


def requirements(suite: Suite) -> list[str]:
    """Return what the environment has; its Django is the version that is installed here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [
        f"{suite.project}=={suite.version}",
        *suite.requires,
        *(one for one in project["dependencies"] if not one.startswith("Django")),
        f"Django=={django.get_version()}",
    ]
