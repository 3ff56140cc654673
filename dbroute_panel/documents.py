"""
What is checked of a JSON document of a file or a store before and while msgspec decodes it.

msgspec looks at the encoding of those texts alone that it makes strings of, and its releases differ in what
they raise and in how they word it. So the encoding is checked here, and classes of exceptions are all that is
read of what msgspec raises.
"""

from __future__ import annotations

from typing import Final

import msgspec
from django.utils.translation import gettext as _

DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What decoding a damaged document raises; ``UnicodeError`` comes from msgspec before its release 0.23."""


class NotUTF8Error(ValueError):
    """The bytes are not UTF-8; ``position`` is the index of the first that cannot stand where it does."""

    def __init__(self, document: bytes, position: int) -> None:
        super().__init__(_("This is not UTF-8 (byte %(byte)s).") % {"byte": f"0x{document[position]:02x}"})
        self.position = position


def require_utf8(document: bytes) -> None:
    """Raises ``NotUTF8Error`` unless all of ``document`` is UTF-8, the parts that nobody reads included."""
    try:
        document.decode()
    except UnicodeDecodeError as error:
        raise NotUTF8Error(document, error.start) from None
