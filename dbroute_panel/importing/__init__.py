"""Read exported traces and put them into a store."""

from __future__ import annotations
