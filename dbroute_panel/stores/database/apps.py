"""The app of the tables. Its label is what ``migrate`` is given."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class StoreConfig(AppConfig):
    name = "dbroute_panel.stores.database"
    label = "dbroute_panel_store"
    verbose_name = _("Database routing: traces")
    default_auto_field = "django.db.models.BigAutoField"
