"""What cannot be recognised as a secret. Each limit is pinned, so that the documentation stays true."""

from __future__ import annotations

import base64

from django.contrib.auth.hashers import make_password
from django.db import connections
from django.http import HttpResponse
from django.test import Client, RequestFactory

from dbroute_panel import explain, trace
from dbroute_panel.middleware import TraceMiddleware

KEY = "k3yk3yk3yk3yk3yk3yk3yk3yk3yk3yk3"


def kept(*params: str) -> list[str]:
    """What a trace has of these parameters of a statement that is about nothing in particular."""
    with trace("test", keep=False) as t, connections["primary"].cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(['%s'] * len(params))}", params)
    return list(t.queries[0].params)


def test_a_session_key_outside_of_its_table_is_known_in_the_request_of_its_session_only(site, store):
    """Code that copies keys to a table of its own, and reads somebody else's: nothing tells what they are."""

    def view(request):
        request.session = Client().session.__class__(KEY)
        kept(KEY)
        with connections["primary"].cursor() as cursor:
            cursor.execute("SELECT %s, %s", [KEY, KEY[::-1]])
        return HttpResponse()

    TraceMiddleware(view)(RequestFactory().get("/basket/")).close()
    (summary,) = store.summaries()
    assert store.get(summary.id).queries[-1].params == ("***", KEY[::-1])


def test_a_password_that_code_puts_into_sql_is_a_text_like_any_other(site):
    """Django never does. With RECORD_PARAMS off no parameter is kept."""
    assert kept("correct horse") == ["correct horse"]


def test_a_token_of_a_projects_own_making_is_a_text_like_any_other(site):
    """Unless it is the argument ``token`` of the URL, or what the request's Authorization header has."""
    assert kept("own-t0ken-of-42") == ["own-t0ken-of-42"]


def test_what_is_encoded_is_not_looked_into(site):
    hidden = base64.b64encode(make_password("x").encode()).decode()
    assert kept(hidden) == [hidden]


class WithPassword:
    password = "in the source"

    def db_for_read(self, model, **hints):
        raise LookupError(f"{self.password[:0]}nothing here")  # s3cret in a comment


def test_source_code_is_shown_as_it_is(site, settings):
    """A router's source is on the page of the routers, its lines in a traceback; keep passwords out of it."""
    settings.DATABASE_ROUTERS = [WithPassword()]
    told = explain("library.Book", "db_for_read").steps[0].traceback
    assert "# s3cret in a comment" in told
