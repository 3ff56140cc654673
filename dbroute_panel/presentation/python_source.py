"""How is Python source shown? Coloured by Pygments; what is very long is cut and shown as it is."""

from __future__ import annotations

from typing import Final

from . import highlight
from .highlight import CodeSpan

MAX_SOURCE_LENGTH: Final = 50_000


def highlight_source(source: str) -> tuple[CodeSpan, ...]:
    """The whole source, cut at ``MAX_SOURCE_LENGTH`` characters, in pieces."""
    if len(source) > MAX_SOURCE_LENGTH:
        return (CodeSpan(source[:MAX_SOURCE_LENGTH] + "…"),)
    return highlight.highlight_python(source)
