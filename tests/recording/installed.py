"""Packages in a folder ``site-packages`` of one test: an installed project, and libraries."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent


def install(folder: Path, modules: Mapping[str, str]) -> Path:
    """Write ``modules``, by their path, to ``site-packages`` in ``folder``; each folder is a package."""
    installed = folder / "lib" / "site-packages"
    for name, source in modules.items():
        file = installed / name
        file.parent.mkdir(parents=True, exist_ok=True)
        for package in file.relative_to(installed).parents[:-1]:
            (installed / package / "__init__.py").touch()
        file.write_text(dedent(source))
    importlib.invalidate_caches()
    return installed


def uninstall(installed: Path) -> None:
    """Forget the modules that were imported from there."""
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(installed)):
            del sys.modules[name]
    importlib.invalidate_caches()
