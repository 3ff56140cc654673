"""Text from outside that must be checked, and text for outside that must be escaped."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from django.utils.translation import gettext as _

# msgspec checks the encoding of those texts alone that it makes strings of, and its releases differ in what
# they raise and in how they word it. So the encoding is checked here, and only the class of an exception of
# msgspec's is relied on.

DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What decoding a damaged document raises; ``UnicodeError`` comes from msgspec before its release 0.23."""


class NotUTF8Error(ValueError):
    """The bytes are not UTF-8; ``position`` is the index of the first that cannot stand where it does."""

    def __init__(self, document: bytes, position: int) -> None:
        super().__init__(_("This is not UTF-8 (byte %(byte)s).") % {"byte": f"0x{document[position]:02x}"})
        self.position = position


def require_utf8(document: bytes) -> None:
    """Raise ``NotUTF8Error`` unless all of ``document`` is UTF-8, the parts that are never read included."""
    try:
        document.decode()
    except UnicodeDecodeError as error:
        raise NotUTF8Error(document, error.start) from None


_FORMULA: Final = re.compile(r"\s*[=+\-@＝＋－＠\x00-\x1f\x7f]")  # noqa: RUF001 - full-width forms are meant


def escape_formula(cell: Any) -> Any:
    """
    Return ``cell``, with an apostrophe in front where a spreadsheet would take it for a formula.

    That is text that begins with ``=``, ``+``, ``-`` or ``@``, also after white space and control characters,
    and in their full-width forms: https://owasp.org/www-community/attacks/CSV_Injection.
    """
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell
