"""The built distributions, made once for all tests of this folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

# What would lead a new environment, a new project or another ``make`` back to the one that runs the tests.
FOREIGN = {
    "ARGS",
    "COVERAGE_PROCESS_START",
    "DJANGO",
    "DJANGO_SETTINGS_MODULE",
    "EXAMPLE_SITE_DATA",
    "EXAMPLE_SITE_DATABASES",
    "EXAMPLE_SITE_TRACES",
    "MAKEFLAGS",
    "MAKELEVEL",
    "MFLAGS",
    "PORT",
    "PYTHON",
    "PYTHONPATH",
    "VENV",
    "VIRTUAL_ENV",
}


@pytest.fixture(scope="session")
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of somebody who has just logged in; pip's cache is kept, caches of ours are not."""
    command = [sys.executable, "-m", "pip", "cache", "dir"]
    pip_cache = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    kept = {key: value for key, value in os.environ.items() if key not in FOREIGN}
    own = {"PIP_CACHE_DIR": pip_cache, "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}
    return kept | own | {"PYTHONUNBUFFERED": "1"}


@pytest.fixture(scope="session")
def distributions(
    tmp_path_factory: pytest.TempPathFactory, clean_environment: dict[str, str]
) -> tuple[Path, Path]:
    """The sdist, and the wheel that was built from it and not from the checkout."""
    return built(ROOT, tmp_path_factory.mktemp("dist"), clean_environment)


def built(source: Path, out: Path, environment: dict[str, str]) -> tuple[Path, Path]:
    """The sdist of ``source``, and the wheel that is built from it, in ``out``."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,) = out.glob("*.tar.gz")
    (wheel,) = out.glob("*.whl")
    return sdist, wheel
