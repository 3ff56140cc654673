"""
Which text must not be put into a cell as it is?

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula, also after white
space, and in their full-width forms: https://owasp.org/www-community/attacks/CSV_Injection.
"""

from __future__ import annotations

import re

_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠\x00-\x1f\x7f]")  # noqa: RUF001 - the full-width forms are meant


def harmless(cell: str) -> str:
    """``cell`` with an apostrophe in front of it where it would be a formula; it never ends a row."""
    cell = cell.replace("\r", "\\r")  # which Python's csv does not quote where lines end in "\n"
    return f"'{cell}" if _FORMULA.match(cell) else cell
