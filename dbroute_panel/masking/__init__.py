"""Keep secrets and the users' values out of what is stored, shown and logged."""

from __future__ import annotations

from typing import Final

MASK: Final = "***"
"""Stands in the place of what is masked."""
