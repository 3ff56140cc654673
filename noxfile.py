"""
Run the test suite on every supported pair of Python and Django, with the debug toolbar and without it.

    nox                                            all of it (make test-matrix)
    nox -k "django60 and absent" -- tests/stores   some pairs (python312 ...), and what is given to pytest
    nox -s lowest                                  with the lowest versions promised (make test-lowest)

nox reports a Python that is not installed and leaves it out; where ``CI`` is set, that is an error.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["tests"]

OLDEST = "3.11"
PAIRS = [
    (OLDEST, "5.2"),
    *((python, django) for python in ("3.12", "3.13", "3.14") for django in ("5.2", "6.0", "6.1")),
    ("3.15", "6.1"),
]

# pyenv's shims on PATH do not start a Python that is not chosen here; its folders of versions do.
PYENV = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
FOUND = [
    str(folder)
    for python in sorted({python for python, _ in PAIRS})
    for folder in PYENV.glob(f"versions/{python}.*/bin")
]
os.environ["PATH"] = os.pathsep.join([*FOUND, os.environ.get("PATH", "")])


def pair_id(python: str, django: str) -> str:
    """Return the name of a pair, without dots, because ``-k`` takes 6.0 for a number."""
    return f"python{python}-django{django}".replace(".", "")


@nox.session
@nox.parametrize("toolbar", [nox.param(toolbar, id=toolbar) for toolbar in ("present", "absent")])
@nox.parametrize("python,django", [nox.param(*pair, id=pair_id(*pair)) for pair in PAIRS])
def tests(session: nox.Session, django: str, toolbar: str) -> None:
    """Run pytest with this Django. Without the toolbar, the tests of the panel are left out."""
    session.install("--editable", ".[dev]", f"Django=={django}.*")
    if toolbar == "absent":
        session.run("python", "-m", "pip", "uninstall", "--quiet", "--yes", "django-debug-toolbar")
        session.env["DBROUTE_TOOLBAR"] = "absent"
    session.env["DJANGO_SETTINGS_MODULE"] = None  # the environment may hold those of another project
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session(python=OLDEST)
def lowest(session: nox.Session) -> None:
    """Run pytest with the lowest versions promised to users; what only tests need is the newest."""
    constraints = Path(session.create_tmp(), "lowest.txt")
    printed = session.run("python", "-m", "tools.lowest", silent=True)
    constraints.write_text(str(printed), encoding="utf-8")
    session.install("--editable", ".[dev]", "--constraint", str(constraints))
    session.run("python", "-m", "tools.lowest", "--installed")
    session.env["DJANGO_SETTINGS_MODULE"] = None
    session.run("python", "-m", "pytest", *session.posargs)
