"""Export a trace to a file, and import exported traces into this project's store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from django.utils.translation import gettext as _

from dbroute_panel.exports import FORMATS, Format
from dbroute_panel.forms import ImportForm
from dbroute_panel.importing import importer
from dbroute_panel.records import Trace
from dbroute_panel.redaction import redact_trace
from dbroute_panel.stores import StoreError, get_store
from dbroute_panel.suggestions import did_you_mean

from .rendering import Admin, has_perm, render_message, render_page, reverse_page
from .trace import find_trace, render_unknown_trace


def import_traces(admin: Admin, request: HttpRequest) -> HttpResponseBase:
    """GET: the form. POST: import the file, all of it or nothing; the file is never whole in memory."""
    if request.method != "POST":
        return _render_form(admin, request, ImportForm())
    form = ImportForm(request.POST, request.FILES)
    if not form.is_valid():
        return _render_form(admin, request, form, status=400)
    file = form.cleaned_data["file"]
    try:
        done = importer.import_traces(file, get_store(), name=file.name)
    except importer.NotImportedError as error:
        form.add_error("file", str(error))
        return _render_form(admin, request, form, status=400)
    except importer.PartlyImportedError as error:
        form.add_error("file", str(error))
        return _render_form(admin, request, form, status=503)
    except StoreError as error:
        form.add_error("file", _("Nothing was imported: %(error)s") % {"error": error})
        return _render_form(admin, request, form, status=503)
    messages.success(request, done.text)
    return HttpResponseRedirect(
        reverse_page(admin, "changelist" if has_perm(request, "view_trace") else "import")
    )


def _render_form(
    admin: Admin, request: HttpRequest, form: ImportForm, *, status: int = 200
) -> HttpResponseBase:
    context = {"form": form, "problem": get_store().problem()}
    return render_page(admin, request, "import.html", context, title=_("Import traces"), status=status)


def export_trace(admin: Admin, request: HttpRequest, trace_id: str, format_name: str) -> HttpResponseBase:
    """The trace as a file."""
    chosen = FORMATS.get(format_name)
    if chosen is None:
        return render_unknown_format(admin, request, format_name)
    redact = request.GET.get("redact", "0")
    if redact not in ("0", "1"):  # better no file than one with what was to be left out
        text = _("redact is “%(value)s”; valid are 1 and 0.") % {"value": redact}
        return render_message(admin, request, title=_("Not redacted"), text=text, status=400)
    trace = find_trace(trace_id)
    if trace is None:
        return render_unknown_trace(admin, request, trace_id)
    return download(request, [trace], into=chosen, redact=redact == "1", name=f"dbroute-{trace.id}")


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
