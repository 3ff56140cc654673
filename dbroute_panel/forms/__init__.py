"""What may a person ask for on our pages? The filters of the lists, and the questions to the routers."""

from __future__ import annotations

from .filters import EventFilterForm, TraceFilterForm
from .replay import ReplayForm
from .routing_map import MapFilterForm
from .sandbox import SandboxForm
from .upload import ImportForm

__all__ = ["EventFilterForm", "ImportForm", "MapFilterForm", "ReplayForm", "SandboxForm", "TraceFilterForm"]
