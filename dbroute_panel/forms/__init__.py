"""The forms of the pages: filters of the lists, questions to the routers, and the import."""

from __future__ import annotations

from .filters import EventFilterForm, MapFilterForm, TraceFilterForm
from .questions import ImportForm, ReplayForm, SandboxForm

__all__ = ["EventFilterForm", "ImportForm", "MapFilterForm", "ReplayForm", "SandboxForm", "TraceFilterForm"]
