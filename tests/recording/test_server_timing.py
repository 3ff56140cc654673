from __future__ import annotations

import gc
import re

import pytest
from django.http import HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client, RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from dbroute_panel.middleware import TraceMiddleware
from dbroute_panel.recording.captured import CapturedDecision, CapturedQuery
from dbroute_panel.recording.recorder import Recorder, active
from dbroute_panel.recording.requests import MAX_HEADER_LENGTH, append_metrics
from dbroute_panel.records import Action
from example_site.library.models import Book, Tag

TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
QUOTED = r'"(?:[ !#-\[\]-~]|\\["\\])*"'
METRIC = re.compile(rf"({TOKEN});dur=([0-9]+(?:\.[0-9]+)?);desc=({QUOTED})(?:, |$)")


def parsed(header):
    """The header by the grammar of the specification (RFC 9110's token and quoted-string), to its end."""
    found, position = [], 0
    while position < len(header):
        match = METRIC.match(header, position)
        assert match, f"no metric at {header[position:]!r}"
        found.append((match[1], float(match[2]), re.sub(r"\\(.)", r"\1", match[3][1:-1])))
        position = match.end()
    return found


def query(alias, start=0, end=1000):
    return CapturedQuery(
        1, alias, "sqlite", "SELECT 1", None, False, None, None, False, False, None, None, None, start, end
    )


def decision(start=0, end=1000, parent=None):
    return CapturedDecision(1, Action.READ, None, None, parent, None, None, 0, start, end)


def recorder(*events):
    made = Recorder("test", "request")
    made.events.extend(events)
    return made


def test_one_metric_an_alias_and_one_for_the_routers_in_milliseconds():
    header = append_metrics(
        "",
        recorder(
            decision(0, 3_000_000),
            decision(0, 1_000_000, parent=1),
            query("primary", 0, 250_000),
            query("replica1", 0, 5_500_000),
            query("primary", 0, 500_500),
        ),
    )
    assert parsed(header) == [
        ("routing", 3.0, "routing: 1 decision"),
        ("db-replica1", 5.5, "replica1: 1 query"),
        ("db-primary", 0.75, "primary: 2 queries"),
    ]


def test_queries_that_no_router_was_asked_about_have_a_routing_of_nothing():
    assert parsed(append_metrics("", recorder(query("primary"))))[0] == (
        "routing",
        0.0,
        "routing: 0 decisions",
    )


def test_nothing_is_appended_of_nothing():
    assert append_metrics("", recorder()) == ""
    assert append_metrics("app;dur=1", recorder()) == "app;dur=1"


@given(st.lists(st.text(min_size=1)), st.integers(0, 3000))
def test_no_alias_gets_out_of_its_metric_and_no_header_is_longer_than_two_kilobytes(aliases, size):
    before = "x" * (size - 4) + ";dur" if size > 4 else ""
    header = append_metrics(before, recorder(decision(), *(query(alias) for alias in aliases)))
    assert header.startswith(before)
    ours = header.removeprefix(before).removeprefix(", ")
    assert all(name == "routing" or name.startswith("db-") for name, _, _ in parsed(ours))
    assert len(header) <= max(MAX_HEADER_LENGTH, len(before))
    HttpResponse(headers={"Server-Timing": header})  # Django lets no line break through


def test_the_slowest_aliases_are_those_that_there_is_room_for():
    events = [query(f"shard_{number:03}", 0, number * 1000) for number in range(100)]
    header = append_metrics("", recorder(*events))
    names = [name for name, _, _ in parsed(header)]
    assert names[:3] == ["routing", "db-shard_099", "db-shard_098"]
    assert MAX_HEADER_LENGTH - 60 < len(header) <= MAX_HEADER_LENGTH


def test_odd_names_are_replaced_in_the_token_and_escaped_in_the_text():
    header = append_metrics("", recorder(query('a "b", \\ü\r\nSet-Cookie: x')))
    assert parsed(header)[1][::2] == (
        "db-a__b_______Set-Cookie__x",
        'a "b", \\???Set-Cookie: x: 1 query',
    )


# In responses


@pytest.fixture(autouse=True)
def served(site, store, settings):
    settings.ROOT_URLCONF = "tests.recording.urls"
    settings.MIDDLEWARE = ["dbroute_panel.middleware.TraceMiddleware"]
    yield
    assert active.get() is None


def names(response):
    return [name for name, _, _ in parsed(response.headers["Server-Timing"])]


def set_to(settings, value):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"SERVER_TIMING": value}


def test_a_response_says_how_long_its_databases_took(store):
    response = Client().get("/books/3/")
    [kept] = store.traces()
    routing, primary = parsed(response.headers["Server-Timing"])
    assert routing == ("routing", 0.0, "routing: 0 decisions")
    assert primary[::2] == ("db-primary", "primary: 1 query")
    assert primary[1] == pytest.approx(kept.queries[0].duration_us / 1000, abs=0.001)


async def test_an_async_response_does_too():
    assert names(await AsyncClient().get("/gathering/")) == ["routing", "db-primary"]


@pytest.mark.parametrize(("debug", "value", "sent"), [
    (True, None, True), (False, None, False), (True, False, False), (False, True, True),
])  # fmt: skip
def test_unless_set_it_is_sent_while_debug_is_on(settings, debug, value, sent):
    settings.DEBUG = debug
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"SAMPLE_RATE": 1.0}
    set_to(settings, value)
    assert ("Server-Timing" in Client().get("/plain/").headers) is sent


def test_a_request_that_is_not_recorded_has_none(settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"SHOULD_RECORD": lambda request: False}
    set_to(settings, True)
    assert "Server-Timing" not in Client().get("/plain/").headers


def answered(view):
    return TraceMiddleware(view)(RequestFactory().get("/plain/"))


def test_a_header_that_the_project_sends_comes_first():
    def view(request):
        Tag.objects.using("archive").count()
        return HttpResponse(headers={"Server-Timing": 'app;dur=12.5;desc="mine"'})

    response = answered(view)
    assert names(response) == ["app", "routing", "db-archive"]
    response.close()


def test_the_header_of_a_stream_has_what_was_done_before_it():
    def view(request):
        Tag.objects.using("archive").count()
        return StreamingHttpResponse(rows())

    def rows():
        for book in Book.objects.using("primary"):
            yield str(book)

    response = answered(view)
    assert names(response) == ["routing", "db-archive"]
    assert b"".join(response.streaming_content)
    assert names(response) == ["routing", "db-archive"]
    response.close()


def test_a_response_that_is_closed_already_is_left_alone(store):
    def view(request):
        Tag.objects.using("archive").count()
        response = HttpResponse()
        response.close()
        return response

    assert "Server-Timing" not in answered(view).headers
    gc.collect()  # a response that nobody closes any more ends its trace when it is collected
    assert store.count() == 1
