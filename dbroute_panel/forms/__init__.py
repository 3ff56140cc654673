"""What may a person ask for on our pages? The filters of the lists, and the questions to the routers."""

from __future__ import annotations

from .filters import EventFilterForm, TraceFilterForm
from .replay import ReplayForm
from .routing_map import MapFilterForm
from .sandbox import SandboxForm

__all__ = ["EventFilterForm", "MapFilterForm", "ReplayForm", "SandboxForm", "TraceFilterForm"]
