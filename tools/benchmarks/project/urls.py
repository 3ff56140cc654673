from __future__ import annotations

from django.apps import apps
from django.contrib import admin
from django.urls import include, path

from tools.benchmarks.project.views import books

urlpatterns = [path("books/<int:queries>/", books)]
for app, route, urls in (
    ("django.contrib.admin", "admin/", lambda: admin.site.urls),
    # Not debug_toolbar_urls(), which has none without DEBUG.
    ("debug_toolbar", "__debug__/", lambda: include("debug_toolbar.urls")),
    ("silk", "silk/", lambda: include("silk.urls", namespace="silk")),
):
    if apps.is_installed(app):
        urlpatterns.append(path(route, urls()))
