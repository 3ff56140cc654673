"""What may a person ask for on our pages? The filters of the lists, and the questions to the routers."""

from __future__ import annotations

from .filters import EventFilterForm, MapFilterForm, TraceFilterForm
from .questions import ImportForm, ReplayForm, SandboxForm

__all__ = ["EventFilterForm", "ImportForm", "MapFilterForm", "ReplayForm", "SandboxForm", "TraceFilterForm"]
