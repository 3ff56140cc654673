"""What may a person ask for on our pages? The filters of both lists, and the question to the routers."""

from __future__ import annotations

from .filters import EventFilterForm, TraceFilterForm
from .sandbox import SandboxForm

__all__ = ["EventFilterForm", "SandboxForm", "TraceFilterForm"]
