"""Find where the code of a package lies, without importing it."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec, PathFinder


def places_of(name: str) -> list[str]:
    """
    The folders, each with a slash at its end, or the file of the package or module ``name``.

    Empty where it is not found. A namespace package may have several folders. Nothing is imported: not even
    the packages that a dotted name goes through.
    """
    top, *inner = name.split(".")
    folders, file = _top_level(top)
    for part in inner:
        # By its own name alone: with that of its package, the package would have to be imported.
        folders, file = _of_spec(PathFinder.find_spec(part, folders) if folders else None)
    places = [f"{folder}/" for folder in folders] or [file]
    return [place.replace("\\", "/").replace("//", "/") for place in places if place]


def _top_level(name: str) -> tuple[list[str], str]:
    """(folders, file) of a module that is found by ``sys.meta_path``, or is imported already."""
    try:
        return _of_spec(importlib.util.find_spec(name))
    except (ImportError, ValueError):  # a module without a spec, as ``__main__``; or no name at all
        module = sys.modules.get(name)
        return list(getattr(module, "__path__", None) or ()), getattr(module, "__file__", None) or ""


def _of_spec(spec: ModuleSpec | None) -> tuple[list[str], str]:
    if spec is None:
        return [], ""
    folders = list(spec.submodule_search_locations or ())
    return folders, spec.origin if not folders and spec.has_location and spec.origin else ""
