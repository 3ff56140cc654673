"""
Which text must not be put into a cell as it is?

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula, also after white
space, and in their full-width forms: https://owasp.org/www-community/attacks/CSV_Injection.
"""

from __future__ import annotations

import re
from typing import Any

_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠\x00-\x1f\x7f]")  # noqa: RUF001 - the full-width forms are meant


def harmless(cell: Any) -> Any:
    """``cell``, with an apostrophe in front of it where a spreadsheet would take it for a formula."""
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell
