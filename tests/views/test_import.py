"""The page that takes a file with exported traces."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from django.test import Client
from django.urls import reverse

from dbroute_panel.exports import FORMATS
from dbroute_panel.records import dumps
from dbroute_panel.stores import StoreError
from dbroute_panel.views import transfer
from tests.traces import a_long_trace, a_trace
from tests.views.test_trace import text

URL = "/admin/dbroute_panel/trace/import/"


def upload(client, content, name="traces.json", **options):
    return client.post(URL, {"file": SimpleUploadedFile(name, content)}, **options)


def ids(store):
    return sorted(int(summary.id, 16) for summary in store.summaries())


@pytest.mark.parametrize("name", ["json", "ndjson"])
def test_what_was_exported_comes_back_marked_and_to_the_byte(admin, store, name):
    traces = [a_trace(number) for number in (1, 2, 3)]
    exported = b"".join(FORMATS[name].write(traces))
    response = upload(admin, exported, follow=True)
    assert response.redirect_chain == [(reverse("admin:dbroute_panel_trace_changelist"), 302)]
    assert "3 traces imported." in text(response)
    assert all(summary.imported for summary in store.summaries())
    assert b"".join(FORMATS[name].write(store.traces())) == exported


def test_what_is_there_already_is_skipped_and_told(admin, store):
    store.save(a_trace(1))
    response = upload(admin, dumps(a_trace(1)) + b"\n" + dumps(a_trace(2)), follow=True)
    assert "1 trace imported, 1 was there already." in text(response)
    assert {summary.id: summary.imported for summary in store.summaries()} == {
        a_trace(1).id: False,
        a_trace(2).id: True,
    }


def test_another_trace_with_the_same_id_is_named_and_nothing_imported(admin, store):
    store.save(a_trace(1))
    response = upload(admin, dumps(a_trace(2)) + b"\n" + dumps(a_trace(1, name="another")))
    assert response.status_code == 400
    assert f"Nothing was imported: there is another trace with the id {a_trace(1).id}." in text(response)
    assert ids(store) == [1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The file is empty."),
        (b"[]", "traces.json has no traces."),
        (b"<html>", "traces.json: Line 1: This is no exported trace"),
        (dumps(a_trace(1)) + b"\n{", "traces.json: Line 2: The document that begins here is not complete."),
        (
            dumps(a_trace(1)) + b"\n" + dumps(a_trace(2)).replace(b"trace/2", b"trace/3"),
            "traces.json: Line 2: This is a dbroute-trace/3 document, which a newer dbroute_panel wrote",
        ),
        (
            dumps(a_trace(1)) + b"\n" + dumps(a_trace(2)).replace(b"trace/2", b"trace/1"),
            "traces.json: Line 2: This is a dbroute-trace/1 document, which an earlier version",
        ),
        (dumps(a_trace(1)) + b"\n" + dumps(a_trace(2)).replace(b'"kind":"request"', b'"kind":5'), "Line 2: "),
    ],
)
def test_bad_input_is_one_message_and_nothing_is_imported(admin, store, content, message):
    response = upload(admin, content)
    assert response.status_code == 400
    assert message in text(response)
    assert response.content.count(b"errornote") == 1
    assert store.count() == 0


def test_no_file_is_said(admin):
    response = admin.post(URL, {})
    assert response.status_code == 400
    assert "Choose a file." in text(response)


def test_a_hostile_file_name_is_text(admin):
    response = upload(admin, b"[]", name="<img src=x>.json")
    assert b"<img src=x>" not in response.content
    assert "<img src=x>.json has no traces." in text(response)


def test_a_store_that_breaks_half_way_keeps_none(admin, store, monkeypatch):
    real = type(store).save

    def save(self, trace, *, imported=False, evict=True):
        if trace.id == a_trace(2).id:
            raise StoreError("The disk is full.")
        real(self, trace, imported=imported, evict=evict)

    monkeypatch.setattr(type(store), "save", save)
    response = upload(admin, dumps(a_trace(1)) + b"\n" + dumps(a_trace(2)))
    assert response.status_code == 503
    assert "Nothing was imported: The disk is full." in text(response)
    assert store.count() == 0


def test_what_is_left_of_a_file_is_told(admin, store, monkeypatch):
    def full(self, trace, **options):
        raise StoreError("The disk is full.")

    def locked(self, ids):
        raise StoreError("The file is locked.")

    monkeypatch.setattr(type(store), "save", full)
    monkeypatch.setattr(type(store), "delete", locked)
    response = upload(admin, dumps(a_trace(1)))
    assert response.status_code == 503
    assert "The disk is full. What had been imported until then could not be deleted:" in text(response)
    assert "Nothing was imported" not in text(response)


def test_a_large_file_goes_over_the_disk_and_is_never_whole_in_memory(admin, store, monkeypatch):
    """Django writes an upload of more than 2.5 MB to a file; of that we read what a trace needs."""
    body = dumps(a_long_trace(0, events=1000))
    many = b"\n".join(body.replace(b"0" * 32, b"%032x" % number, 1) for number in range(1, 9))
    seen = []
    import_traces = transfer.importer.import_traces

    def watched(file, store, **options):
        assert isinstance(file, TemporaryUploadedFile)
        read = file.file.read
        file.file.read = lambda size=-1: seen.append(size) or read(size)
        return import_traces(file, store, **options)

    monkeypatch.setattr(transfer.importer, "import_traces", watched)
    response = admin.post(URL, {"file": SimpleUploadedFile("many.ndjson", many)}, follow=True)
    assert "8 traces imported." in text(response)
    assert len(many) > 4_000_000
    assert seen
    assert 0 < max(seen) < 2_000_000


def test_it_needs_the_csrf_token(site, store):
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.get(username="admin"))
    assert upload(client, dumps(a_trace(1))).status_code == 403
    assert store.count() == 0
    page = client.get(URL).content.decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
    sent = {"file": SimpleUploadedFile("x.json", dumps(a_trace(1))), "csrfmiddlewaretoken": token}
    assert client.post(URL, sent).status_code == 302
    assert store.count() == 1


def test_who_may_add_but_not_look_stays_on_the_page(site, store, client):
    user = User.objects.create_user("adder", is_staff=True)
    user.user_permissions.add(
        Permission.objects.get(content_type__app_label="dbroute_panel", codename="add_trace")
    )
    client.force_login(user)
    response = upload(client, dumps(a_trace(1)), follow=True)
    assert response.redirect_chain == [(URL, 302)]
    assert "1 trace imported." in text(response)


def test_the_list_links_it_for_who_may(admin, site, store, client):
    assert f'href="{URL}"' in admin.get(reverse("admin:dbroute_panel_trace_changelist")).content.decode()
    user = User.objects.create_user("looker", is_staff=True)
    user.user_permissions.add(
        Permission.objects.get(content_type__app_label="dbroute_panel", codename="view_trace")
    )
    client.force_login(user)
    assert URL not in client.get(reverse("admin:dbroute_panel_trace_changelist")).content.decode()
