"""Django's own apps, and which of them must not be separated."""

from __future__ import annotations

from django.apps import apps
from django.db import router

from dbroute_panel.inspection.lints import run_lints
from example_site.scenarios.registry import scenario

OF_CONTRIB = {"admin", "auth", "contenttypes", "flatpages", "redirects", "sites"}
CODES = {"contrib-split", "contenttypes-on-several"}


@scenario(
    23,
    "Contrib apps that belong together",
    shows="Four ways to separate them, and what dbroute lint says of each, before anything is read.",
    settings=(
        "example_site.variants.contenttypes_apart",
        "example_site.variants.admin_apart",
        "example_site.variants.sites_apart",
        "example_site.variants.contenttypes_twice",
    ),
)
def contrib_apps():
    for model in apps.get_models():
        if model._meta.app_label in OF_CONTRIB:
            yield f"{model._meta.label} is written to {router.db_for_write(model)}"
    for finding in run_lints():
        if finding.code in CODES:
            yield f"{finding.code}: {finding.message}"
