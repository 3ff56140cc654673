"""
Remove the data from a trace, for readers who must not see it.

It is done before an export format gets the trace, so that no format has to know about it.
"""

from __future__ import annotations

from .statements import without_literals
from .trace import redact_trace

__all__ = ["redact_trace", "without_literals"]
