"""A router that heeds the hints of a migration's operations."""

from __future__ import annotations


class HintRouter:
    """``hints={"only_on": alias}`` keeps an operation to that database."""

    def allow_migrate(self, db, app_label, model_name=None, *, only_on=None, **hints):
        return None if only_on is None else db == only_on
