"""Import: exported traces from a file into this project's store."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.utils.translation import gettext as _

from dbroute_panel.forms import ImportForm
from dbroute_panel.importing import importer
from dbroute_panel.stores import StoreError, get_store

from .rendering import Admin, has_perm, render_page, reverse_page


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
