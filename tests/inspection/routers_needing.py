"""A module that needs something which is not installed."""

from __future__ import annotations

import not_installed  # noqa: F401
