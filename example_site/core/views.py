"""The front page: the scenarios, a button that runs each, and what it put out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from dbroute_panel.conf import panel_settings
from dbroute_panel.stores import Summary, get_store
from example_site import replication as replicas
from example_site.core.databases import databases
from example_site.core.highlighting import highlighted
from example_site.scenarios import GROUPS, SCENARIOS, Scenario
from example_site.scenarios.last_runs import LastRun, recall, remember
from example_site.scenarios.running import run

UNTIL_REPLICATE = "until replicate"
LAGS = {
    "0": "no lag",
    "2": "2 seconds",
    "10": "10 seconds",
    UNTIL_REPLICATE: "until “Replicate now” is pressed",
}


class LagForm(forms.Form):
    lag = forms.ChoiceField(choices=list(LAGS.items()))

    def seconds(self) -> float | None:
        chosen = self.cleaned_data["lag"]
        return None if chosen == UNTIL_REPLICATE else float(chosen)


@require_safe
def front_page(request: HttpRequest) -> HttpResponse:
    kept = kept_traces()
    groups = [
        (title, [(scenario, last_run(scenario, kept)) for scenario in scenarios])
        for title, scenarios in GROUPS
    ]
    lag = replicas.lag()
    chosen = UNTIL_REPLICATE if lag is None else f"{lag:g}"
    context = {
        "groups": groups,
        "databases": databases(),
        "lags": [(value, label, value == chosen) for value, label in LAGS.items()],
        "on_servers": settings.CONFIGURATION == "services",
        "behind": [alias for alias in replicas.replicas() if replicas.behind(alias)],
        "start": SCENARIOS[13],
    }
    return render(request, "example_site/front_page.html", context)


@require_safe
def scenario(request: HttpRequest, number: int) -> HttpResponse:
    chosen = scenario_or_404(number)
    context = {
        "scenario": chosen,
        "source": highlighted(chosen.source),
        "on_servers": settings.CONFIGURATION == "services",
        "run": last_run(chosen, kept_traces()),
    }
    return render(request, "example_site/scenario.html", context)


@require_POST
def run_scenario(request: HttpRequest, number: int) -> HttpResponse:
    chosen = scenario_or_404(number)
    remember(chosen, run(chosen))
    return redirect(reverse("scenario", args=[number]) + "#output")


@require_POST
def replication(request: HttpRequest) -> HttpResponse:
    if "now" in request.POST:
        replicas.replicate()
        messages.success(request, "The replicas hold what the primary holds.")
    else:
        form = LagForm(request.POST)
        if not form.is_valid():
            return HttpResponse(f"A lag is one of: {', '.join(LAGS)}.", status=400, content_type="text/plain")
        replicas.set_lag(form.seconds())
        messages.success(request, f"The lag of the replicas: {LAGS[form.cleaned_data['lag']]}.")
    return redirect(reverse("front-page") + "#replication")


def scenario_or_404(number: int) -> Scenario:
    if number not in SCENARIOS:
        raise Http404(f"There is no scenario {number}.")
    return SCENARIOS[number]


def kept_traces() -> dict[str, Summary]:
    return {summary.id: summary for summary in get_store().summaries(limit=panel_settings.MAX_TRACES)}


def last_run(scenario: Scenario, kept: dict[str, Summary]) -> dict[str, Any] | None:
    """The last run with those of its traces that are still kept, for a template."""
    found: LastRun | None = recall(scenario)
    if found is None:
        return None
    parts = [(part, [kept[trace_id] for trace_id in part.traces if trace_id in kept]) for part in found.parts]
    traces = [summary for _, summaries in parts for summary in summaries]
    return {"at": found.at, "failed": found.failed, "parts": parts, "traces": traces}
