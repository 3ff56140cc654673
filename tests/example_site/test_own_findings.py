"""The example site's own finding, found in requests to it and nowhere else."""

from __future__ import annotations

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import path

from dbroute_panel import trace
from dbroute_panel.records import Level
from example_site.library.models import Tag

CODE = "archive-written-in-request"


def writing(request, alias):
    Tag.objects.using(alias).create(name="brass")
    return HttpResponse(str(Tag.objects.using("archive").count()))


urlpatterns = [path("<str:alias>/", writing)]


@pytest.fixture
def requested(site, store, settings):
    settings.ROOT_URLCONF = __name__
    client = Client(REMOTE_ADDR="192.0.2.1")

    def found(alias):
        document = store.get(client.get(f"/{alias}/")["Dbroute-Trace-Id"])
        return document, [one for one in document.findings if one.code == CODE]

    return found


def test_a_request_that_writes_to_the_archive(requested):
    document, (found,) = requested("archive")
    assert found.level is Level.WARNING
    assert found.message.startswith("library.Tag was written on archive during a request.")
    assert found.events == [query.id for query in document.queries if query.writes]


def test_a_request_that_writes_elsewhere(requested):
    document, found = requested("primary")
    assert [query.alias for query in document.queries if query.writes] == ["primary"]
    assert found == []


def test_a_command_that_writes_to_the_archive(site):
    with trace("nightly", kind="command", keep=False) as t:
        Tag.objects.using("archive").create(name="brass")
    assert t.findings == []


def test_it_can_be_silenced(requested, settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"SILENCED_FINDINGS": [CODE]}
    assert requested("archive")[1] == []
