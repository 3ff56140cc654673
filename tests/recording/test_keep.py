"""``KEEP``: which traces stay, and that it decides nothing about what a person is looking at."""

from __future__ import annotations

import pytest
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.urls import path

from dbroute_panel import trace
from example_site.library.models import Book, Tag


def read(request):
    return HttpResponse(str(Book.objects.count()))


def stale(request):
    Tag.objects.create(name="brass")
    return HttpResponse(str(Tag.objects.count()))


def twice(request):
    Tag.objects.using("primary").bulk_create([Tag(name="brass")])
    Book.objects.using("archive").filter(title="Kindred").update(year=1979)
    return HttpResponse("twice")


async def read_async(request):
    return HttpResponse(str(await Book.objects.acount()))


urlpatterns = [path(f"{view.__name__}/", view) for view in (read, stale, twice, read_async)]


@pytest.fixture(autouse=True)
def keeping_findings(site, store, settings):
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = ["dbroute_panel.middleware.TraceMiddleware"]
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"KEEP": "findings", "FINDINGS": []}


def codes(store):
    return [[found.code for found in summary.findings] for summary in store.summaries()]


def test_a_request_with_a_warning_is_kept(store):
    response = Client().get("/stale/")
    assert codes(store) == [["stale-read"]]
    assert store.summaries()[0].id == response["Dbroute-Trace-Id"]


def test_a_request_without_findings_is_not(store):
    assert Client().get("/read/")["Dbroute-Trace-Id"]
    assert store.count() == 0


async def test_nor_is_an_async_one(store):
    await AsyncClient().get("/read_async/")
    assert store.count() == 0


def test_what_is_only_worth_knowing_does_not_keep_it(store, settings):
    Client().get("/twice/")
    assert store.count() == 0
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"KEEP": "all"}
    Client().get("/twice/")
    assert codes(store) == [["several-databases-written"]]


def test_what_is_silenced_does_not_keep_it(store, settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"SILENCED_FINDINGS": ["stale-read"]}
    Client().get("/stale/")
    assert store.count() == 0


def test_blocks_are_kept_alike(store):
    with trace("read") as reading:
        Book.objects.count()
    with trace("write and read") as t:
        Tag.objects.create(name="brass")
        Tag.objects.count()
    assert [summary.name for summary in store.summaries()] == ["write and read"]
    assert t.document.findings
    assert reading.document.findings == []
