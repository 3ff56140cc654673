"""How do we tell somebody that a name is wrong? With the nearest right one, or the whole list."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

MAX_NAMES: Final = 20


def find_nearest(word: str, valid: Iterable[str]) -> str | None:
    """The name in ``valid`` that ``word`` was most likely meant to be, whatever its case; or None."""
    folded = {name.casefold(): name for name in valid}
    found = difflib.get_close_matches(word.casefold(), folded, n=1)
    return folded[found[0]] if found else None


def did_you_mean(word: str, valid: Iterable[str]) -> str:
    """One sentence for after "There is no ``word``": the nearest name, else what there is."""
    names = sorted(valid)
    if (name := find_nearest(word, names)) is not None:
        return f"Did you mean {name!r}?"
    if not names:
        return "There is none."
    listed = ", ".join(repr(name) for name in names[:MAX_NAMES])
    more = len(names) - MAX_NAMES
    return f"Valid are {listed} and {more} more." if more > 0 else f"Valid are {listed}."
