"""
What may be shown to somebody who must not see the data? The trace without values, by ``redacted()``.

Applied to a trace before any export format sees it, so that no format has to know of it.
"""

from __future__ import annotations

from .statements import without_literals
from .trace import redacted

__all__ = ["redacted", "without_literals"]
