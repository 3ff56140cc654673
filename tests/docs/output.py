"""Is an output the one that the documentation shows? Ids, times and widths are another's each time."""

from __future__ import annotations

import re

# The message of somebody else's exception: other words in another release. A page shows it as an example.
WORDS = re.compile(
    r"\b(?!Command|Assertion|Ask|Store|Read)((?:[A-Z]\w+(?:Error|DoesNotExist)|ImproperlyConfigured)): "
    r"(?:[^\n]*?(?=\)\. )|[^\n]*)"
)
MASKS = [
    (WORDS, r"\1: WORDS"),
    (re.compile(r"(?<=\bdjango/)([\w/]+\.py):\d+"), r"\1:LINE"),  # another one in each release
    (re.compile(r"\b[0-9a-f]{32}\b"), "ID"),
    (re.compile(r"\b[0-9a-f]{8}\b"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+Z)?)?"), "TIME"),
    (re.compile(r"\b[A-Z][a-z]+ \d\d, \d{4} - \d\d:\d\d:\d\d"), "TIME"),
    (re.compile(r"\b\d[\d,]*\.\d+s?\b"), "N"),
    (re.compile(r"[-─]{3,}"), "---"),
    (re.compile(r"[ \t]+"), " "),
]
ANYTHING = "..."


def masked(text: str) -> list[str]:
    for pattern, name in MASKS:
        text = pattern.sub(name, text)
    return [line.strip() for line in text.strip().splitlines()]


def same(shown: str, printed: str) -> bool:
    """Whether ``printed`` is what the page shows, where a line ``...`` stands for any lines."""
    pattern = "\n".join(
        r"(?:.*\n)*?.*" if line == ANYTHING else re.escape(line).replace(r"\.\.\.", ".*")
        for line in masked(shown)
    )
    return re.fullmatch(pattern, "\n".join(masked(printed))) is not None
