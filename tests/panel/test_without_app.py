"""The toolbar's panel where the app was forgotten: a check says so, and no request fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = """
import django
from django.conf import settings
settings.configure(
    DEBUG=True, SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], STATIC_URL="static/",
    INSTALLED_APPS=["django.contrib.staticfiles", "debug_toolbar", *APPS],
    MIDDLEWARE=["debug_toolbar.middleware.DebugToolbarMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    DEBUG_TOOLBAR_PANELS=["dbroute_panel.panel.RoutingPanel"],
    DEBUG_TOOLBAR_CONFIG={"SHOW_TOOLBAR_CALLBACK": lambda request: True, "RENDER_PANELS": True},
    DBROUTE_PANEL={"STORE": {"BACKEND": "dbroute_panel.stores.MemoryStore"}},
)
django.setup()
from django.core.checks import run_checks
from django.http import HttpResponse
from django.test import Client
from django.urls import include, path
urlpatterns = [
    path("__debug__/", include("debug_toolbar.urls")),
    path("", lambda request: HttpResponse("<html><body>home</body></html>")),
]
print([(message.id, message.hint) for message in run_checks() if message.id.startswith("dbroute_panel.")])
response = Client().get("/")
print(response.status_code, "Add &#x27;dbroute_panel&#x27; to INSTALLED_APPS." in response.content.decode())
"""


@pytest.mark.toolbar
@pytest.mark.parametrize(
    ("apps", "said"),
    [
        ([], ["[('dbroute_panel.E009', \"Add 'dbroute_panel' to INSTALLED_APPS.\")]", "200 True"]),
        (["dbroute_panel"], ["[]", "200 False"]),
    ],
)
def test_it_is_an_error_of_the_checks_and_no_failure_of_a_request(apps, said, tmp_path):
    program = tmp_path / "project.py"
    program.write_text(f"APPS = {apps}\n{PROJECT}")
    done = subprocess.run(
        [sys.executable, program],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.stdout.splitlines() == said, done.stderr
