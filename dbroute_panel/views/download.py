"""How is a file sent that is made while it is sent? Under WSGI and ASGI alike a piece at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.utils.translation import gettext as _

from dbroute_panel.exports import FORMATS, Format
from dbroute_panel.records import Trace
from dbroute_panel.redaction import redact_trace
from dbroute_panel.suggestions import did_you_mean

from .rendering import Admin, render_message


def download(
    request: HttpRequest, traces: Iterable[Trace], *, into: Format, redact: bool, name: str
) -> StreamingHttpResponse:
    """``traces`` as a file in the format ``into``, called ``name`` without its extension."""
    pieces = into.write(map(redact_trace, traces) if redact else traces)
    name = f"{name}{'-redacted' if redact else ''}.{into.extension}"
    return StreamingHttpResponse(
        _iterate_async(pieces) if isinstance(request, ASGIRequest) else pieces,
        content_type=into.content_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


def render_unknown_format(admin: Admin, request: HttpRequest, name: str) -> HttpResponseBase:
    """The page that says which formats there are."""
    text = _("There is no export format “%(name)s”. %(hint)s") % {
        "name": name,
        "hint": did_you_mean(name, FORMATS),
    }
    return render_message(admin, request, title=_("No such format"), text=text, status=404)


async def _iterate_async(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Django would take all of a plain iterator into memory before it sent the first byte."""

    def following() -> bytes | None:
        return next(pieces, None)

    while (piece := await sync_to_async(following)()) is not None:
        yield piece
