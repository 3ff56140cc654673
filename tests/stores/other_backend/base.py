"""A database of a vendor that the store knows nothing of."""

from __future__ import annotations

from django.db.backends.dummy.base import DatabaseWrapper as Dummy


class DatabaseWrapper(Dummy):
    vendor = "other"
