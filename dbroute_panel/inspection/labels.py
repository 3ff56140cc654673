"""Which models does somebody mean who has typed a part of a label? The likeliest first, and not many."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

MAX_LABELS: Final = 50
"""So many labels are offered at once."""


def match_labels(typed: str, labels: Iterable[str], most: int = MAX_LABELS) -> list[str]:
    """
    The ``labels`` that have ``typed`` in them, in any case: first that label itself, then those whose model
    begins with it ("book"), those whose app does ("lib"), and the others. All of them where nothing was
    typed; at most ``most``.
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
    """The ``labels`` that ``typed``, which is none of them, was most likely meant to be; perhaps none."""
    labels = list(labels)
    if typed.strip() and (found := match_labels(typed, labels, most)):
        return found
    folded = {label.casefold(): label for label in labels}
    return [folded[name] for name in difflib.get_close_matches(typed.strip().casefold(), folded, n=most)]
