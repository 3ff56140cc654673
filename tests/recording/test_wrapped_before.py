"""A project may wrap Django's methods before the app is there: it starts, and is told all the same."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = '''
import functools, sys
from asgiref.sync import SyncToAsync
from django.conf import settings
from django.core.handlers.base import BaseHandler
from django.core.management.base import BaseCommand
from django.db.backends.utils import CursorWrapper
from django.db.models.query import QuerySet
from django.db.models.sql.compiler import SQLCompiler
from django.template.base import Node
from django.utils.connection import BaseConnectionHandler

class Wrapper:
    """Says nothing of what it wraps."""

    def __init__(self, function):
        self.function = function

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self.function, instance)

def decorated(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)
    return wrapper

wrap = {"an object": Wrapper, "a decorator": decorated}[sys.argv[1]]
for owner, names in {
    SQLCompiler: ["execute_sql", "as_sql"],
    CursorWrapper: ["_execute_with_wrappers"],
    BaseHandler: ["_get_response", "_get_response_async"],
    BaseCommand: ["execute"],
    BaseConnectionHandler: ["__getitem__"],
    Node: ["render_annotated"],
    SyncToAsync: ["__call__"],
}.items():
    for name in names:
        setattr(owner, name, wrap(getattr(owner, name)))
QuerySet.db = property(decorated(QuerySet.db.fget))

class Home:
    def db_for_read(self, model, **hints):
        return "other"
    db_for_write = db_for_read

settings.configure(
    SECRET_KEY="secret", INSTALLED_APPS=["django.contrib.contenttypes", "dbroute_panel"], DEBUG=True,
    DATABASES={a: {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"} for a in ("default", "other")},
    DATABASE_ROUTERS=["__main__.Home"],
    DBROUTE_PANEL={"STORE": {"BACKEND": "dbroute_panel.stores.MemoryStore"}},
)
import django
django.setup()
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connections, transaction
from dbroute_panel import trace

call_command("migrate", database="other", verbosity=0)
type(connections["other"].features).has_select_for_update = True
with trace("t", keep=False) as t:
    ContentType.objects.count()
    ContentType.objects.create(app_label="a", model="b")
    ContentType.objects.update(model="c")
    len(ContentType.objects.raw("SELECT * FROM django_content_type"))
    with transaction.atomic():
        try:
            len(ContentType.objects.select_for_update())
        except transaction.TransactionManagementError:
            pass
for query in t.queries:
    print(query.operation, query.model, query.route.value)
print(*[finding.code for finding in t.document.findings])
'''


@pytest.mark.parametrize("how", ["an object", "a decorator"])
def test_what_is_wrapped_before_does_not_matter(how):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, how],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.splitlines() == [
        "SELECT contenttypes.ContentType router",
        "INSERT contenttypes.ContentType router",
        "UPDATE contenttypes.ContentType router",
        "SELECT contenttypes.ContentType router",
        "write-outside-atomic",
    ]
