"""A module that cannot be imported."""

from __future__ import annotations

raise LookupError("half of it is missing")
