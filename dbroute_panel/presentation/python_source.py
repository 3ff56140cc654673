"""How is Python source shown? Coloured by Pygments; what is very long is cut and shown as it is."""

from __future__ import annotations

from typing import Final

from . import highlight
from .highlight import Piece

LONGEST: Final = 50_000


def highlighted(source: str) -> tuple[Piece, ...]:
    """The whole source, cut at ``LONGEST`` characters, in pieces."""
    if len(source) > LONGEST:
        return (Piece(source[:LONGEST] + "…"),)
    return highlight.python(source)
