"""
The panel of django-debug-toolbar: ``DEBUG_TOOLBAR_PANELS += ["dbroute_panel.panel.RoutingPanel"]``.

It records by itself; with the middleware there is one trace for both. The toolbar keeps the trace's
id and a few numbers; what the panel shows is read from the store when it is opened.
"""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import ExitStack
from inspect import isawaitable
from typing import Any

from debug_toolbar.panels import Panel
from django.apps import apps
from django.core import checks
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from dbroute_panel import recording
from dbroute_panel.conf import panel_settings
from dbroute_panel.environment import base_dir, databases, installed_folders
from dbroute_panel.exports import FORMATS
from dbroute_panel.presentation import Editor, Index, build_timeline, compute_totals, count_deciders
from dbroute_panel.recording import requests
from dbroute_panel.recording.captured import CapturedQuery
from dbroute_panel.recording.recorder import log_once
from dbroute_panel.records import Finding, Level
from dbroute_panel.stores import get_store

from .rows import build_lines


class RoutingPanel(Panel):
    """Which database each query went to, and why."""

    is_async = True
    title: str | Promise = gettext_lazy("Database routing")
    nav_title: str | Promise = gettext_lazy("Routing")
    nav_icon = "dbroute_panel/routing.svg"  # type: ignore[assignment]
    template = "dbroute_panel/panel.html"

    def __init__(self, toolbar: Any, get_response: Any) -> None:
        super().__init__(toolbar, get_response)
        self._recorded: requests.RequestTrace | None = None
        self._raised = False
        self._timing = ""
        self._muted = ExitStack()

    @classmethod
    def run_checks(cls) -> list[checks.CheckMessage]:
        """Without the app nothing is recorded, and there is no template to show that with."""
        if apps.is_installed("dbroute_panel"):
            return []
        return [
            checks.Error(
                "The panel 'dbroute_panel.panel.RoutingPanel' needs the app 'dbroute_panel'.",
                hint="Add 'dbroute_panel' to INSTALLED_APPS.",
                id="dbroute_panel.E009",
            )
        ]

    # Recording

    def enable_instrumentation(self) -> None:
        if self._recorded is None and apps.is_installed("dbroute_panel"):
            self._recorded = requests.begin(self.toolbar.request, shown=True)

    def disable_instrumentation(self) -> None:
        """
        Record no more: from here to ``get_headers()``, its last call, the toolbar works for itself.

        Its panels read the session and the user, which would show up in a trace that the middleware
        began, and that goes on after the toolbar.
        """
        if self._recorded is not None:
            self._recorded.stop()
            if not self._raised:
                self._muted.enter_context(requests.mute())

    def get_headers(self, request: HttpRequest) -> dict[str, str]:
        """
        The last call. The toolbar puts its panels' own ``Server-Timing`` in the place of the response's.

        So what the response has by then, the project's or ours, is named among the panels'.
        """
        self._muted.close()
        headers: dict[str, str] = super().get_headers(request)  # type: ignore[no-untyped-call]
        if self._timing:
            headers[requests.TIMING_HEADER] = self._timing
        return headers

    def process_request(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """As the toolbar has it, but a request that ends in an exception is kept as well."""
        try:
            response: HttpResponseBase | Awaitable[HttpResponseBase] = self.get_response(request)
        except BaseException as error:
            self._failed(error)
            raise
        return self._awaited(response) if isawaitable(response) else response

    async def _awaited(self, coming: Awaitable[HttpResponseBase]) -> HttpResponseBase:
        try:
            return await coming
        except BaseException as error:
            self._failed(error)
            raise

    def _failed(self, error: BaseException) -> None:
        self._raised = True
        if self._recorded is not None:
            self._recorded.end(error)

    def generate_stats(self, request: HttpRequest, response: HttpResponseBase) -> None:
        recorded = self._recorded
        if recorded is None:  # one of our own pages, or the trace could not begin
            self._note({"trace_id": ""})
            return
        findings = self._findings(recorded.id)
        aliases = [event.alias for event in recorded.recorder.events[:] if type(event) is CapturedQuery]
        recorded.end(response)
        self._timing = response.headers.get(requests.TIMING_HEADER, "")
        self._note(
            {
                "trace_id": recorded.id,
                "name": recorded.recorder.name,
                "queries": len(aliases),
                "databases": len(set(aliases)),
                "findings": len(findings),
            }
        )

    def _findings(self, trace_id: str) -> list[Finding]:
        """
        What is wrong so far, worst first; the toolbar's own alerts get those of level warning and above.

        Its AlertsPanel takes alerts from others by ``add_alert()``. It has generated its stats before or
        will after us, as ``DEBUG_TOOLBAR_PANELS`` has the two; so what it has is recorded again.
        """
        try:
            trace = recording.find(trace_id)
            found = trace.findings if trace is not None else []
            alerts = next(
                (panel for panel in self.toolbar.enabled_panels if hasattr(panel, "add_alert")), None
            )
            wrong = [finding for finding in found if finding.level is not Level.INFO]
            if alerts is not None and wrong:
                for finding in wrong:
                    alerts.add_alert({"alert": f"{self.nav_title}: {finding.message} ({finding.code})"})
                alerts.record_stats({"alerts": alerts.alerts})
        except Exception:  # noqa: BLE001 - whatever goes wrong here, the user's response goes on
            log_once("dbroute_panel could not say what is wrong in the trace %s.", trace_id)
            return []
        return found

    def _note(self, stats: dict[str, Any]) -> None:
        """Hand the toolbar what it keeps."""
        self.record_stats(stats)  # type: ignore[no-untyped-call]

    @property
    def _noted(self) -> dict[str, Any]:
        """What the toolbar kept."""
        stats: dict[str, Any] = self.get_stats()  # type: ignore[no-untyped-call]
        return stats

    # Showing

    @property
    def nav_subtitle(self) -> str:
        stats = self._noted
        if not stats.get("trace_id"):
            return _("not recorded")
        queries, databases, findings = stats["queries"], stats["databases"], stats["findings"]
        parts = [
            ngettext("%(n)d query", "%(n)d queries", queries) % {"n": queries},
            ngettext("%(n)d database", "%(n)d databases", databases) % {"n": databases},
        ]
        if findings:
            parts.append(ngettext("%(n)d finding", "%(n)d findings", findings) % {"n": findings})
        return " · ".join(parts)

    @property
    def content(self) -> str:
        """The trace as far as it is known now; an explanation if it is gone."""
        if not apps.is_installed("dbroute_panel"):  # nor are its templates
            return _("Add 'dbroute_panel' to INSTALLED_APPS.")
        trace_id = self._noted.get("trace_id", "")
        trace = (recording.find(trace_id) or get_store().get(trace_id)) if trace_id else None
        if trace is None:
            return render_to_string(self.template, {"trace": None, "recorded": bool(trace_id)})
        index = Index(trace, databases({}))
        page = _reverse_trace_page(trace.id)
        lines, more = build_lines(
            index, page, Editor.from_setting(panel_settings.EDITOR_URL, base_dir(), installed_folders())
        )
        return render_to_string(
            self.template,
            {
                "trace": trace,
                "totals": compute_totals(trace, index.palette),
                "decided": count_deciders(index),
                "timeline": build_timeline(trace, index.palette),
                "lines": lines,
                "more": more,
                "page": page,
                "lanes": f"{page}?" if page else "",
                "formats": FORMATS.values(),
            },
        )


def _reverse_trace_page(trace_id: str) -> str | None:
    """The trace's page in the admin; None where there is no admin, or no traces in it."""
    try:
        return reverse("admin:dbroute_panel_trace_change", args=[trace_id])
    except NoReverseMatch:
        return None
