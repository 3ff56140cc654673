from __future__ import annotations

import gc
import weakref

import pytest
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.test import Client, RequestFactory

from dbroute_panel import recording
from dbroute_panel.recording import requests
from dbroute_panel.recording.recorder import active
from dbroute_panel.recording.requests import begin, describe_request, is_own, is_wanted, should_record
from dbroute_panel.recording.trace_sink import sink
from dbroute_panel.recording.traces import trace
from dbroute_panel.records import Request
from example_site.library.models import Tag
from tests.recording import urls


@pytest.fixture
def kept(site, settings, monkeypatch):
    """The traces that are handed to the store. Nobody but the test begins one."""
    settings.MIDDLEWARE = []
    settings.ROOT_URLCONF = "tests.recording.urls"
    kept = []
    monkeypatch.setattr(sink, "keep", kept.append)
    return kept


def get(path, **headers):
    return RequestFactory().get(path, **headers)


def tags():
    return Tag.objects.using("primary").count()


# Which requests


def test_under_debug_every_request_is_recorded_and_else_a_share(settings):
    settings.DEBUG = True
    assert all(should_record(get("/")) for _ in range(20))
    settings.DEBUG = False
    for rate, least, most in ((0.0, 0, 0), (1.0, 2000, 2000), (0.25, 400, 600)):
        settings.DBROUTE_PANEL = {"SAMPLE_RATE": rate}
        assert least <= sum(should_record(get("/")) for _ in range(2000)) <= most


def test_the_draw_leaves_the_users_seeded_random_alone(settings):
    import random

    settings.DEBUG = False
    settings.DBROUTE_PANEL = {"SAMPLE_RATE": 0.5}
    random.seed(3)
    bare = [random.random() for _ in range(5)]
    random.seed(3)
    watched = []
    for _ in range(5):
        should_record(get("/"))
        watched.append(random.random())
    assert watched == bare


def only_books(request):
    return request.path.startswith("/books/")


def broken(request):
    raise RuntimeError("no header")


def test_the_project_decides_which_requests_are_recorded(settings, caplog):
    settings.DBROUTE_PANEL = {"SHOULD_RECORD": f"{__name__}.only_books"}
    assert is_wanted(get("/books/1/")) is True
    assert is_wanted(get("/plain/")) is False
    settings.DBROUTE_PANEL = {"SHOULD_RECORD": broken}
    assert is_wanted(get("/books/1/")) is False
    assert is_wanted(get("/books/1/")) is False
    [record] = caplog.records
    assert record.getMessage() == "DBROUTE_PANEL['SHOULD_RECORD'] raised; the request is not recorded."


def test_the_tools_own_pages_are_never_recorded(settings):
    settings.ROOT_URLCONF = "tests.recording.urls"
    assert is_own(get("/admin/dbroute_panel/trace/"))
    assert is_own(get("/admin/dbroute_panel/trace/" + "a" * 32 + "/change/"))
    assert not is_own(get("/admin/"))
    assert not is_own(get("/admin/library/book/"))
    assert not is_own(get("/no/such/page/"))
    assert not is_own(get("/somebodys/dbroute_panel/trace/"))
    assert begin(get("/admin/dbroute_panel/trace/")) is None


@pytest.mark.toolbar
def test_the_toolbars_own_urls_are_never_recorded(settings):
    settings.ROOT_URLCONF = "tests.recording.urls"
    assert is_own(get("/__debug__/render_panel/"))
    assert begin(get("/__debug__/render_panel/")) is None


def test_an_url_is_not_resolved_where_it_cannot_be_our_own(settings, kept, monkeypatch):
    monkeypatch.setattr(requests.apps, "is_installed", lambda name: False)
    urls.resolved.clear()
    assert not is_own(get("/tags/space/"))
    assert urls.resolved == []
    assert is_own(get("/admin/dbroute_panel/trace/"))


def test_a_urlconf_that_cannot_be_imported_is_djangos_to_report(settings):
    settings.ROOT_URLCONF = "no.such.urls"
    assert not is_own(get("/__debug__/"))


# The trace of a request


def test_a_trace_is_kept_when_its_response_is_closed(kept):
    request = get("/books/5/?q=1")
    recorded = begin(request)
    assert (recorded.joined, len(recorded.id)) == (False, 32)
    tags()
    response = HttpResponse()
    recorded.end(response)
    assert active.get() is None
    tags()
    assert kept == []
    assert recording.find(recorded.id).request.status == 200
    response.close()
    [document] = kept
    assert (document.kind, document.name) == ("request", "/books/5/")
    assert document.request == Request(
        method="GET", path="/books/5/", view="tests.recording.urls.plain", status=200
    )
    assert len(document.queries) == 1
    assert response.headers["Dbroute-Trace-Id"] == document.id
    response.close()
    assert len(kept) == 1


def test_an_exception_is_status_500_and_kept_at_once(kept):
    recorded = begin(get("/plain/"))
    tags()
    recorded.end(KeyError())
    assert [document.request.status for document in kept] == [500]
    recorded.end(KeyError())
    assert len(kept) == 1


def test_the_header_is_sent_under_debug_only(kept, settings):
    settings.DEBUG = False
    recorded = begin(get("/plain/"))
    response = HttpResponse()
    recorded.end(response)
    assert "Dbroute-Trace-Id" not in response.headers


def test_a_request_that_left_no_event_is_kept_only_if_somebody_shows_it(kept):
    for shown in (False, True):
        recorded = begin(get("/empty/"), shown=shown)
        response = HttpResponse()
        recorded.end(response)
        response.close()
    assert len(kept) == 1


def test_whichever_comes_first_begins_and_the_other_joins(kept):
    request = get("/plain/")
    outer = begin(request)
    inner = begin(request, shown=True)
    assert (inner.joined, inner.id) == (True, outer.id)
    response = HttpResponse(status=201)
    inner.end(response)
    assert "Dbroute-Trace-Id" not in response.headers
    assert active.get() is not None
    response.status_code = 202
    outer.end(response)
    response.close()
    [document] = kept
    assert document.request.status == 202  # the outermost saw the response last


def test_a_joined_one_describes_the_request_before_the_outer_ends(kept):
    outer = begin(get("/plain/"))
    begin(get("/plain/")).end(HttpResponse())
    assert recording.find(outer.id).request.status == 200
    outer.end(HttpResponse())


def test_a_request_inside_of_a_block_is_part_of_it(kept, settings):
    settings.MIDDLEWARE = ["dbroute_panel.middleware.TraceMiddleware"]
    with trace("test") as t:
        response = Client().get("/books/3/")
    assert response.status_code == 200
    [document] = kept
    assert (document.name, document.kind, document.request) == ("test", "block", None)
    assert "tests/recording/urls.py" in {query.callsite.file for query in t.queries}


def test_a_response_that_nobody_closes_ends_its_trace_when_it_is_collected(kept):
    recorded = begin(get("/plain/"))
    tags()
    response = HttpResponse()
    recorded.end(response)
    del response
    gc.collect()
    assert len(kept) == 1


def test_a_request_that_leads_to_its_response_is_not_kept_alive(kept):
    request = get("/plain/")
    recorded = begin(request)
    response = request.response = HttpResponse()
    reference = weakref.ref(response)
    recorded.end(response)
    del request, response
    gc.collect()
    assert reference() is None


def test_a_response_that_was_closed_lets_go_of_its_trace(kept):
    recorded = begin(get("/plain/"))
    tags()
    response = HttpResponse()
    recorded.end(response)
    response.close()
    response._resource_closers.clear()
    reference = weakref.ref(recorded)
    del recorded
    gc.collect()
    assert reference() is None


def test_errors_of_ours_are_logged_and_nothing_else(kept, monkeypatch, caplog):
    recorded = begin(get("/plain/"))
    with monkeypatch.context() as patched:
        patched.setattr(requests, "describe_request", lambda *args, **kwargs: 1 / 0)
        recorded.end(HttpResponse())
    assert active.get() is None
    with monkeypatch.context() as patched:
        patched.setattr(requests, "RequestTrace", lambda *args, **kwargs: 1 / 0)
        assert begin(get("/plain/")) is None
    monkeypatch.setattr(sink, "keep", lambda document: 1 / 0)
    recorded = begin(get("/plain/"), shown=True)
    response = HttpResponse()
    recorded.end(response)
    response.close()
    assert [record.getMessage() for record in caplog.records] == [
        "dbroute_panel could not end the trace of /plain/.",
        "dbroute_panel could not begin to record /plain/.",
        "dbroute_panel could not finish the trace of /plain/.",
    ]


# What is told about a request


def test_the_path_is_the_route_where_parameters_are_not_kept(kept):
    request = get("/books/5/?secret=1")
    assert describe_request(request, 200, params=True).path == "/books/5/"
    assert describe_request(request, 200, params=False).path == "books/<int:pk>/"


def test_a_path_that_nothing_resolves(kept):
    request = get("/no/such/page/")
    assert describe_request(request, 404, params=True) == Request(
        method="GET", path="/no/such/page/", view=None, status=404
    )
    assert describe_request(request, 404, params=False).path == "(no route)"


def test_the_token_of_a_password_reset_is_never_kept(kept):
    assert describe_request(get("/reset/MQ/abc-123/"), 200, params=True).path == "reset/<uidb64>/<token>/"
    # CommonMiddleware answers this one, with a redirect to the other.
    assert describe_request(get("/reset/MQ/abc-123"), 301, params=True).path == "(no route)"


def test_the_trace_of_a_password_reset_has_no_token_anywhere(kept):
    from dbroute_panel.records import dumps

    for path in ("/reset/MQ/abc-123/", "/reset/MQ/abc-123"):
        recorded = begin(get(path))
        tags()
        recorded.end(Http404())
    assert len(kept) == 2
    assert not any("abc-123" in dumps(document).decode() for document in kept)


# Streaming


def test_a_stream_is_recorded_step_by_step_and_in_nothing_else(kept):
    def rows():
        tags()
        yield "a"
        tags()
        yield "b"

    recorded = begin(get("/streams/"))
    response = StreamingHttpResponse(rows())
    recorded.end(response)
    steps = iter(response)
    assert next(steps) == b"a"
    assert active.get() is None
    with trace("another", keep=False) as another:
        tags()
    assert next(steps) == b"b"
    assert next(steps, None) is None
    assert kept == []
    response.close()
    assert [len(document.queries) for document in kept] == [2]
    assert not another.joined


def test_a_stream_that_is_closed_early_runs_its_clean_up_in_the_trace(kept):
    closed = []

    def rows():
        try:
            yield "a"
            yield "b"
        finally:
            closed.append(tags())

    recorded = begin(get("/streams/"))
    response = StreamingHttpResponse(rows())
    recorded.end(response)
    assert next(iter(response)) == b"a"
    response.close()
    assert closed == [4]
    assert [len(document.queries) for document in kept] == [1]
    assert active.get() is None


def test_a_stream_that_is_closed_before_it_began(kept):
    recorded = begin(get("/streams/"), shown=True)
    response = StreamingHttpResponse(["a"])
    recorded.end(response)
    response.close()
    assert len(kept) == 1


def test_an_exception_in_a_stream_reaches_the_server(kept):
    def rows():
        yield "a"
        tags()
        raise ValueError("in the middle")

    recorded = begin(get("/streams/"))
    response = StreamingHttpResponse(rows())
    recorded.end(response)
    steps = iter(response)
    next(steps)
    with pytest.raises(ValueError, match="in the middle"):
        next(steps)
    assert active.get() is None
    response.close()
    assert [len(document.queries) for document in kept] == [1]


async def test_an_async_stream_is_recorded_step_by_step(kept):
    async def rows():
        yield await Tag.objects.using("primary").acount()
        yield await Tag.objects.using("primary").acount()

    recorded = begin(get("/streams/"))
    response = StreamingHttpResponse(rows())
    recorded.end(response)
    assert response.is_async
    parts = []
    async for part in response:
        parts.append(part)
        assert active.get() is None
    response.close()
    assert parts == [b"4", b"4"]
    assert [len(document.queries) for document in kept] == [2]


def test_closers_of_the_response_run_in_the_trace_and_before_its_end(kept):
    recorded = begin(get("/streams/"))
    response = StreamingHttpResponse(["a"])
    response._resource_closers.append(tags)
    closers = len(response._resource_closers)
    recorded.end(response)
    assert len(response._resource_closers) == closers + 1
    response.close()
    assert [len(document.queries) for document in kept] == [1]
