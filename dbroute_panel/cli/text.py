"""
How does text get to a terminal or a pipe: in colour, in columns, in any encoding?

What was recorded is somebody else's text: a control character in it is escaped here, so that no name and
no SQL can send a sequence to the terminal.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from django.core.management.color import Style

MIN_COLUMN_WIDTH: Final = 12
"""A column that is cut to fit the terminal keeps at least so many characters."""

ASCII_SUBSTITUTES: Final = str.maketrans({"…": "...", "→": "->", "×": "x", "·": "-", "“": '"', "”": '"'})
"""What our own texts have that an encoding may lack."""


class Styled(NamedTuple):
    """``text`` in the colours of ``role``, one of Django's (``SUCCESS``, ``WARNING`` ...)."""

    text: str
    role: str


Piece = str | Styled


def escape_control(text: str) -> str:
    """``text`` on one line, with everything a terminal might obey as an escape sequence."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else " " if char.isspace() and char != "\x85" else ascii(char)[1:-1]
        for char in text
    )


def fit_encoding(text: str, encoding: str | None) -> str:
    """``text`` without what ``encoding`` cannot show, which is written in other signs or as an escape."""
    if not encoding:
        return text
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(ASCII_SUBSTITUTES).encode(encoding, "backslashreplace").decode(encoding)
    return text


def get_width(text: str) -> int:
    """How many columns of a terminal ``text`` takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def truncate(text: str, width: int) -> str:
    """``text`` in at most ``width`` columns."""
    if get_width(text) <= width:
        return text
    kept, room = "", width - 1
    for char in text:
        room -= get_width(char)
        if room < 0:
            break
        kept += char
    return f"{kept}…"


def paint(piece: Piece, style: Style) -> str:
    """``piece`` as it is written."""
    if isinstance(piece, Styled):
        text = escape_control(piece.text)
        return str(getattr(style, piece.role)(text)) if text else ""
    return escape_control(piece)


def get_text(piece: Piece) -> str:
    return piece.text if isinstance(piece, Styled) else piece


def align_columns(
    rows: Sequence[Sequence[Piece]],
    *,
    right: Sequence[int] = (),
    flexible: Sequence[int] = (),
    width: int | None = None,
) -> Iterator[list[Piece]]:
    """
    The cells of ``rows`` padded to columns, two spaces between them; nothing behind the last.

    ``right``: the numbers of the columns that are set flush right. ``width``: cut the columns that are
    ``flexible`` to fit it, the widest first; None (a pipe) cuts nothing.
    """
    texts = [[escape_control(get_text(piece)) for piece in row] for row in rows]
    count = max(map(len, texts), default=0)
    widths = [max(get_width(row[n]) for row in texts if n < len(row)) for n in range(count)]
    if width is not None:
        _shrink_columns(widths, [n for n in flexible if n < count], width - 2 * (count - 1))
    for row, shown in zip(rows, texts, strict=True):
        line: list[Piece] = []
        for n, (piece, whole) in enumerate(zip(row, shown, strict=True)):
            text = truncate(whole, widths[n])
            space = " " * (widths[n] - get_width(text))
            last = n == len(row) - 1
            line += [
                space if n in right else "",
                Styled(text, piece.role) if isinstance(piece, Styled) else text,
                "" if last else f"  {space}" if n not in right else "  ",
            ]
        yield line


def _shrink_columns(widths: list[int], flexible: list[int], room: int) -> None:
    while sum(widths) > room and flexible:
        widest = max(flexible, key=lambda n: widths[n])
        if widths[widest] <= MIN_COLUMN_WIDTH:
            return
        widths[widest] -= 1
