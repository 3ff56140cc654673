"""The pages of the example site."""

from __future__ import annotations

from importlib.util import find_spec

from django.contrib import admin
from django.urls import include, path

from example_site.core import ordinary, views
from example_site.library import views as library
from example_site.users.admin import new_users_site

urlpatterns = [
    path("", views.front_page, name="front-page"),
    path("scenarios/<int:number>/", views.scenario, name="scenario"),
    path("scenarios/<int:number>/run/", views.run_scenario, name="run-scenario"),
    path("replication/", views.replication, name="replication"),
    path("books/", library.books, name="books"),
    path("books/<int:pk>/", library.book, name="book"),
    path("books/<int:pk>/title/", library.title, name="book-title"),
    path("books.json", library.books_json, name="books-json"),
    path("databases/", ordinary.databases, name="databases"),
    path("broken/", ordinary.broken, name="broken"),
    path("nowhere/using/", ordinary.nowhere_using, name="nowhere-using"),
    path("nowhere/connections/", ordinary.nowhere_connections, name="nowhere-connections"),
    path("side-by-side/", include("example_site.core.side_by_side")),
    path("admin/", admin.site.urls),
    path("new-users-admin/", new_users_site.urls),
]

if find_spec("debug_toolbar"):
    from debug_toolbar.toolbar import debug_toolbar_urls

    urlpatterns += debug_toolbar_urls()
