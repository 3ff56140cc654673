"""REST framework's generic views: the line of the project's serializer, else the framework's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client
from django.urls import include, path
from rest_framework.renderers import JSONRenderer
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import ModelSerializer, SerializerMethodField
from rest_framework.viewsets import ModelViewSet

from dbroute_panel.recording.traces import trace
from example_site.library.models import Book, Tag


def passing(get_response):
    """The project's middleware."""

    def middleware(request):
        return get_response(request)

    return middleware


class Plain(ModelSerializer):
    class Meta:
        model = Tag
        fields = ("id", "name")


class WithTags(ModelSerializer):
    tags = SerializerMethodField()

    class Meta:
        model = Book
        fields = ("id", "tags")

    def get_tags(self, book):
        return book.tags.count()  # the serializer's


class Open(ModelViewSet):
    authentication_classes = ()
    permission_classes = ()
    renderer_classes = (JSONRenderer,)


class Tags(Open):
    queryset = Tag.objects.using("primary").order_by("pk")
    serializer_class = Plain


class Books(Open):
    queryset = Book.objects.using("primary").order_by("pk")[:2]
    serializer_class = WithTags


@pytest.fixture
def told(site, settings):
    router = SimpleRouter()
    router.register("tags", Tags)
    router.register("books", Books)
    settings.MIDDLEWARE = [f"{__name__}.passing"]
    settings.ROOT_URLCONF = (path("api/", include((router.urls, "api"), namespace="api")),)

    def told(method, url, **data):
        with trace("test", keep=False) as t:
            assert getattr(Client(), method)(url, data, content_type="application/json").status_code < 300
        assert t.queries
        return {(query.callsite.file, query.callsite.entry) for query in t.queries}, t.queries

    return told


@pytest.mark.parametrize(
    ("method", "url", "name"),
    [
        ("get", "/api/tags/", "api:tag-list"),
        ("get", "/api/tags/1/", "api:tag-detail"),
        ("post", "/api/tags/", "api:tag-list"),
        ("put", "/api/tags/1/", "api:tag-detail"),
        ("delete", "/api/tags/1/", "api:tag-detail"),
    ],
)
def test_a_viewset_without_a_line_of_the_projects_has_the_frameworks(told, method, url, name):
    sites, _ = told(method, url, **({} if method == "get" else {"name": "new"}))
    assert {file.partition("/")[0] for file, _ in sites} == {"rest_framework"}
    assert {entry for _, entry in sites} == {f"{method.upper()} {name}"}


def test_a_method_of_the_projects_serializer_has_its_line(told):
    sites, queries = told("get", "/api/books/")
    assert sites == {
        ("rest_framework/serializers.py", "GET api:book-list"),
        ("tests/recording/test_rest_framework.py", None),
    }
    lines = Path(__file__).read_text().splitlines()
    [line] = [number for number, text in enumerate(lines, 1) if text.endswith("# the serializer's")]
    assert [query.callsite.line for query in queries if query.callsite.entry is None] == [line, line]
