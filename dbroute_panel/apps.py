"""The app: what happens when Django starts."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _


class DbroutePanelConfig(AppConfig):
    name = "dbroute_panel"
    verbose_name = _("Database routing")

    def ready(self) -> None:
        from dbroute_panel import findings, recording, sessions, stores, telemetry
        from dbroute_panel.checks import ROUTING_TAG, check_database_store, check_routing, check_settings

        recording.install()
        recording.sink.find_findings = findings.find
        recording.sink.keep = stores.keep
        recording.sink.get_parent = telemetry.find_parent
        recording.sink.send = telemetry.send
        recording.sink.recall_session = sessions.recall
        recording.sink.note_session = sessions.note
        checks.register(check_settings, "dbroute_panel")
        checks.register(check_database_store, checks.Tags.database)
        checks.register(check_routing, ROUTING_TAG)
