"""No password, SECRET_KEY or DSN of the project on any page, in any trace, output or log."""

from __future__ import annotations

import io
import json
import logging

import pytest
from django.conf import settings as project
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections
from django.test import Client

from dbroute_panel import explain, stores, trace
from dbroute_panel.exports import FORMATS
from dbroute_panel.masking import secrets
from dbroute_panel.masking.credentials import log_exception, mask_credentials
from dbroute_panel.recording import recorder
from dbroute_panel.stores import StoreError
from example_site.library.models import Person
from example_site.notes.models import Note
from tests.security.everywhere import body, everywhere, page
from tests.waiting import no_trap

SECRETS = {
    "PASSWORD": "correct-horse-7",
    "OPTIONS": "battery/staple 8",
    "DSN": "dsn-s3cret-9",
    "SECRET_KEY": "django-insecure-key-10",
    "SECRET_KEY_FALLBACKS": "django-insecure-key-11",
}
DSN = f"postgresql://app:{SECRETS['DSN']}@db.example/shop?sslmode=require"


class Telling:
    """A router that looks into a database before it answers, and tells all when that fails."""

    def db_for_read(self, model, **hints):
        if model is Person:
            connections["archive"].cursor()

    def db_for_write(self, model, **hints):
        if model is Person:
            password = project.DATABASES["archive"]["PASSWORD"]
            raise LookupError(f"tried {DSN} with {password} and {project.SECRET_KEY}")

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        if model_name == "person":
            raise LookupError(f"password='{SECRETS['OPTIONS']}' host=db")


@pytest.fixture
def telling(site, store, settings, monkeypatch):
    """The example site with a password wherever a project can have one, and a driver that quotes them."""
    settings.SECRET_KEY = SECRETS["SECRET_KEY"]
    settings.SECRET_KEY_FALLBACKS = [SECRETS["SECRET_KEY_FALLBACKS"]]
    for key, value in {
        "ENGINE": "tests.security.quoting",
        "NAME": DSN,
        "USER": "app",
        "PASSWORD": SECRETS["PASSWORD"],
        "HOST": "db.example",
        "OPTIONS": {"passwd": SECRETS["OPTIONS"]},
    }.items():
        monkeypatch.setitem(connections.settings["archive"], key, value)
    forget_the_connection()
    settings.DATABASE_ROUTERS = [f"{__name__}.Telling", *settings.DATABASE_ROUTERS]
    yield
    forget_the_connection()


def forget_the_connection() -> None:
    """The one of this thread; it is made anew by the settings of then."""
    connections["archive"].close()
    del connections["archive"]


def found_in(texts: dict[str, str]) -> set[str]:
    return {
        f"{name} in {place}" for place, text in texts.items() for name, it in SECRETS.items() if it in text
    }


def test_nothing_of_it_is_in_traces_pages_exports_and_outputs(telling, store, caplog):
    with trace("the telling driver"):
        with pytest.raises(OperationalError) as raised:
            Note.objects.using("archive").count()
        with pytest.raises(OperationalError):
            Person.objects.count()
        with pytest.raises(LookupError):
            Person.objects.create(name="Ada")
    assert SECRETS["DSN"] in str(raised.value), "the project's own exception stays as it is"
    (summary,) = store.summaries()
    errors = [query.error for query in store.get(summary.id).queries]
    assert 'OperationalError: missing "=" after "postgresql://***@db.example' in errors[0]
    found = everywhere(store, [])
    found["log"] = caplog.text
    assert found_in(found) == set()
    assert "db.example" in found["routers"]


def test_nor_on_the_pages_that_ask_the_routers(telling, store):
    with trace("questions"), pytest.raises(OperationalError):
        Person.objects.count()
    (summary,) = store.summaries()
    client = Client(REMOTE_ADDR="192.0.2.1")
    client.force_login(User.objects.get(username="admin"))
    ask = {"model": "library.Person", "repeat": "1"}
    texts = {
        action: body(client.post(page("sandbox"), ask | {"action": action, "db": "primary"}))
        for action in ("db_for_read", "db_for_write", "allow_migrate")
    }
    row = ask | {"action": "db_for_write", "model": "notes.Note", "instance": "row"}
    texts["row"] = body(client.post(page("sandbox"), row | {"instance_db": "archive", "instance_pk": "1"}))
    texts["replay"] = body(client.post(page("replay", trace_id=summary.id), {"repeat": "1"}))
    texts["map"] = body(client.post(page("map"), follow=True))
    for place, text in texts.items():
        assert "***" in text or place == "replay", place  # there nothing would change
    assert found_in(texts) == set()
    assert "Traceback" in texts["db_for_write"]
    assert found_in({"the store": store.recall("routing-map/1").decode()}) == set()


@pytest.mark.parametrize("output", ["text", "json"])
def test_nor_in_what_commands_put_out(telling, output):
    texts = {}
    for words in (
        ("explain", "library.Person", "db_for_read"),
        ("explain", "library.Person", "db_for_write"),
        ("explain", "library.Person", "allow_migrate", "--db", "primary"),
        ("explain", "notes.Note", "db_for_read", "--instance-db", "archive", "--pk", "1"),
        ("map",),
        ("lint",),
    ):
        out, err = io.StringIO(), io.StringIO()
        try:
            call_command("dbroute", *words, "--format", output, stdout=out, stderr=err)
        except CommandError as error:
            err.write(str(error))
        texts[" ".join(words)] = out.getvalue() + err.getvalue()
    assert found_in(texts) == set()
    assert sum("***" in text for text in texts.values()) >= 5


def test_nor_in_the_python_api(telling):
    for action, where in (("db_for_read", {}), ("db_for_write", {}), ("allow_migrate", {"db": "primary"})):
        decision = explain("library.Person", action, **where)
        assert "***" in decision.steps[0].error
        assert "Traceback" in decision.steps[0].traceback
        assert found_in({action: str(decision)}) == set()


def test_nor_in_the_log(telling, settings, monkeypatch, caplog):
    """What goes wrong in a project's own callable or store is logged with its traceback, masked."""

    def raises(*args):
        raise ConnectionError(f"cannot reach {DSN} with {SECRETS['PASSWORD']}")

    monkeypatch.setattr(recorder, "_complaints", set())
    monkeypatch.setattr(stores, "lost", 0)
    monkeypatch.setattr(stores.SQLiteStore, "save", raises)
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"SHOULD_RECORD": raises}
    settings.DEBUG = False  # and so no toolbar
    assert Client().get("/books/").status_code == 200
    with trace("lost"):
        Note.objects.using("primary").db  # noqa: B018
    logged = [record for record in caplog.records if record.name.startswith("dbroute_panel")]
    assert len(logged) == 2
    formatter = logging.Formatter()
    texts = {record.msg: formatter.format(record) for record in logged}
    assert found_in(texts) == set()
    for text in texts.values():
        assert "Traceback" in text
        assert "ConnectionError: cannot reach postgresql://***@db.example/shop" in text


def test_a_traceback_without_credentials_is_logged_as_python_has_it(caplog):
    try:
        raise LookupError("nothing secret")
    except LookupError as raised:
        log_exception(logging.getLogger("dbroute_panel"), logging.ERROR, "It failed: %s", raised)
    (record,) = caplog.records
    assert record.exc_info[0] is LookupError
    assert record.getMessage() == "It failed: nothing secret"


def test_nor_in_what_a_store_says(telling):
    assert found_in({"": str(StoreError(f"no connection to {DSN}"))}) == set()


def test_no_export_names_a_database_by_more_than_its_alias_and_engine(telling, store):
    with trace("plain"):
        Note.objects.using("primary").db  # noqa: B018
    (summary,) = store.summaries()
    document = store.get(summary.id)
    archive = json.loads(b"".join(FORMATS["json"].write([document])))["databases"]["archive"]
    assert archive == {"vendor": "sqlite", "engine": "tests.security.quoting", "replica_of": None}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('after "postgres://app:s3cret@db/shop" in', 'after "postgres://***@db/shop" in'),
        ("mysql+pymysql://app:s3/cr@et@db:3306", "mysql+pymysql://***@db:3306"),
        ("host=db password=s3cret user=app", "host=db password=*** user=app"),
        ("host=db password = 's3 cr\\'et' user=app", "host=db password = *** user=app"),
        ("DRIVER={ODBC};UID=app;PWD=s3cret;SERVER=db", "DRIVER={ODBC};UID=app;PWD=***;SERVER=db"),
        ("{'user': 'app', 'password': 's3cret', 'port': 1}", "{'user': 'app', 'password': ***, 'port': 1}"),
        ('{"passwd": "s3\\"cret"}', '{"passwd": ***}'),
        ("SECRET_KEY = 's3cret'", "SECRET_KEY = ***"),
        ("api_key=s3cret&x=1", "api_key=***&x=1"),
    ],
)  # fmt: skip
def test_what_connection_strings_look_like(text, kept):
    assert mask_credentials(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        'FATAL: password authentication failed for user "app"',
        "Access denied for user 'app'@'localhost' (using password: YES)",
        "NOT NULL constraint failed: auth_user.password",
        "{'password': ['This field is required.']}",
        "ada@example.com is known already",
        "see https://docs.djangoproject.com/en/5.2/",
        "",
    ],
)
def test_what_says_nothing_secret_stays(text):
    assert mask_credentials(text) == text


def test_a_short_password_is_no_part_of_words(settings, monkeypatch):
    monkeypatch.setitem(connections.settings["archive"], "PASSWORD", "app")
    assert mask_credentials("app: the application's apps") == "***: the application's apps"
    monkeypatch.setitem(connections.settings["archive"], "PASSWORD", b"s3!")
    assert mask_credentials("it is s3!, not s3") == "it is ***, not s3"


def test_a_project_without_a_secret_key_is_no_problem(settings):
    settings.SECRET_KEY = ""
    assert mask_credentials("password=x") == "password=***"


MANY = 300_000


@pytest.mark.parametrize(
    "text",
    [
        "a" * MANY + " $ - @ '",
        "$-@'" + "ab12cd-" * (MANY // 7),
        "@" + "a://" * (MANY // 4),
        "@" + "password='" * (MANY // 10),
        "'a" * (MANY // 2) + "\\",
        '"\\' * (MANY // 2),
        "/*" * (MANY // 2) + "--'",
        "$a$" * (MANY // 3),
        "md5$" * (MANY // 4),
        "abcdef-" + "0" * MANY,
    ],
    ids=range(10),
)
def test_looking_for_secrets_takes_time_in_proportion_to_the_text(text):
    """A statement may hold megabytes of anything; in quadratic time each of these would take hours."""
    with no_trap():
        mask_credentials(text)
        secrets.mask_hashes(text)
        secrets.mask_tokens(text)
        secrets.mask_literals(text)
        secrets.mask_literals(text, "postgresql")
