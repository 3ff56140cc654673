"""Suggest the name that was meant in place of a wrong one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

MAX_NAMES: Final = 20
"""Maximum names listed in a message."""

MAX_LABELS: Final = 50
"""Maximum model labels offered at once."""


def find_nearest(word: str, valid: Iterable[str]) -> str | None:
    """Return the name in ``valid`` that ``word`` most resembles, in any case; or None."""
    folded = {name.casefold(): name for name in valid}
    found = difflib.get_close_matches(word.casefold(), folded, n=1)
    return folded[found[0]] if found else None


def did_you_mean(word: str, valid: Iterable[str]) -> str:
    """Return a sentence to follow "There is no ``word``": the nearest name, else the valid ones."""
    names = sorted(valid)
    if (name := find_nearest(word, names)) is not None:
        return f"Did you mean {name!r}?"
    if not names:
        return "There is none."
    listed = ", ".join(repr(name) for name in names[:MAX_NAMES])
    more = len(names) - MAX_NAMES
    return f"Valid are {listed} and {more} more." if more > 0 else f"Valid are {listed}."


def match_labels(typed: str, labels: Iterable[str], most: int = MAX_LABELS) -> list[str]:
    """
    Return the ``labels`` that contain ``typed``, in any case, the likeliest first; all for an empty text.

    First comes the label or model itself, then models that begin with it ("book"), then apps that do
    ("lib"), then the others.
    """
    part = typed.strip().casefold()
    found = [(_rank_label(part, label.casefold()), label) for label in labels if part in label.casefold()]
    return [label for _rank, label in sorted(found)[:most]]


def _rank_label(part: str, label: str) -> int:
    model = label.rpartition(".")[2]
    if part in (label, model):
        return 0
    if model.startswith(part):
        return 1
    return 2 if label.startswith(part) else 3


def suggest_labels(typed: str, labels: Iterable[str], most: int = 5) -> list[str]:
    """Return the ``labels`` that ``typed``, which is none of them, may stand for; perhaps none."""
    labels = list(labels)
    if typed.strip() and (found := match_labels(typed, labels, most)):
        return found
    folded = {label.casefold(): label for label in labels}
    return [folded[name] for name in difflib.get_close_matches(typed.strip().casefold(), folded, n=most)]
