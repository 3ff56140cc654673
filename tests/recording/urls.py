"""Views of every kind, for the tests of requests and callsites."""

from __future__ import annotations

import asyncio
import io
from importlib.util import find_spec

from django.contrib import admin
from django.db import transaction
from django.http import FileResponse, Http404, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import path, register_converter

from example_site.library.models import Book, Tag

resolved = []


class TagConverter:
    """A converter that notes each time it runs; some people's query a database."""

    regex = "[a-z]+"

    def to_python(self, value):
        resolved.append(value)
        return value

    def to_url(self, value):
        return value


register_converter(TagConverter, "tag")


def plain(request, pk=1):
    return HttpResponse(str(Tag.objects.using("primary").count()))


async def gathering(request):
    first, second = await asyncio.gather(
        Book.objects.using("primary").aget(pk=1), Book.objects.using("primary").aget(pk=2)
    )
    return HttpResponse(f"{first}, {second}")


def empty(request):
    return HttpResponse("nothing")


def fails(request):
    Tag.objects.using("primary").count()
    raise ValueError("broken")


def missing(request):
    Tag.objects.using("primary").count()
    raise Http404


def streams(request):
    def rows():
        try:
            for tag in Tag.objects.using("primary").iterator(chunk_size=1):
                Book.objects.using("primary").count()
                yield tag.name
        finally:
            Tag.objects.using("archive").count()

    return StreamingHttpResponse(rows())


def streams_a_list(request):
    return StreamingHttpResponse(["a", "b"])


def streams_and_fails(request):
    def rows():
        yield "a"
        Tag.objects.using("primary").count()
        raise ValueError("in the middle")

    return StreamingHttpResponse(rows())


async def streams_async(request):
    async def rows():
        async for tag in Tag.objects.using("primary"):
            await Book.objects.using("primary").acount()
            yield tag.name

    return StreamingHttpResponse(rows())


def sends_a_file(request):
    Tag.objects.using("primary").count()
    return FileResponse(io.BytesIO(b"content"), filename="f.txt")


def reads_two(request):
    with transaction.atomic(using="primary"):
        Tag.objects.using("primary").count()
    return HttpResponse(str(Book.objects.count()))


def template(request):
    return TemplateResponse(request, "books.html", {"books": Book.objects.using("primary").order_by("pk")})


def reset(request, uidb64, token):
    Tag.objects.using("primary").count()
    return HttpResponse()


urlpatterns = [
    path("plain/", plain),
    path("books/<int:pk>/", plain),
    path("tags/<tag:tag>/", lambda request, tag: plain(request)),
    path("empty/", empty),
    path("gathering/", gathering),
    path("fails/", fails),
    path("missing/", missing),
    path("streams/", streams),
    path("streams-a-list/", streams_a_list),
    path("streams-and-fails/", streams_and_fails),
    path("streams-async/", streams_async),
    path("file/", sends_a_file),
    path("two/", reads_two),
    path("template/", template),
    path("reset/<uidb64>/<token>/", reset),
    path("admin/", admin.site.urls),
]

if find_spec("debug_toolbar"):
    from debug_toolbar.toolbar import debug_toolbar_urls

    urlpatterns += debug_toolbar_urls()
