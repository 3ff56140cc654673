"""What can be measured on a page: each function gives what is not as it should be, in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

SOURCE = Path(__file__).with_suffix(".js").read_text()


def too_wide(page: Page) -> list[str]:
    """What stands over the edge of the window, if one has to scroll sideways; some elements to begin with."""
    return _measured(page, "tooWide")


def faint_text(page: Page, ours: str, *, least: float) -> list[str]:
    """Text whose contrast to what is behind it is less; large text needs two thirds, as in the WCAG."""
    return _measured(page, "faintText", ours, least)


def faint_borders(page: Page, ours: str, *, least: float) -> list[str]:
    """Swatches and bars whose border has less contrast to what is around them."""
    return _measured(page, "faintBorders", ours, least)


def moving(page: Page, ours: str) -> list[str]:
    """What moves, or would move when its style changes."""
    return _measured(page, "moving", ours)


def code_the_other_way(page: Page, ours: str) -> list[str]:
    """Code that does not run from left to right."""
    return _measured(page, "codeTheOtherWay", ours)


def overlapping(page: Page, ours: str) -> list[str]:
    """Texts that are drawn over each other."""
    return _measured(page, "overlapping", ours)


def broken_words(page: Page, ours: str, *, longest: int) -> list[str]:
    """Words of so many letters at most that begin in one line and end in the next."""
    return _measured(page, "brokenWords", ours, longest)


def begin_walk(page: Page, ours: str) -> list[str]:
    """What Tab should reach within ``ours``, in the order of the document. The focus is before the first."""
    return _measured(page, "beginWalk", ours)


def end_walk(page: Page) -> list[dict[str, Any]]:
    """The control that had the focus after each key; ``shown``: whether it looked other than without."""
    return _measured(page, "endWalk")


def _measured(page: Page, measure: str, *arguments: object) -> Any:
    return page.evaluate(f"given => {{ {SOURCE}\nreturn measures.{measure}(given); }}", list(arguments))
