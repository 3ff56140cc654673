from __future__ import annotations

from pathlib import Path

import pytest
from django.core import checks
from django.db import connections

from dbroute_panel.checks import check_database_store, check_settings
from dbroute_panel.conf import SETTINGS
from dbroute_panel.findings import REGISTRY
from dbroute_panel.inspection.lints import LINTS
from dbroute_panel.records import Finding, Level
from dbroute_panel.stores import MemoryStore
from tests.test_conf import MISTAKES, VALID, without_value


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def found(settings, value) -> list[checks.CheckMessage]:
    settings.DBROUTE_PANEL = value
    return check_settings(None)


class TestKeys:
    @pytest.mark.parametrize("row", [row for row in VALID if row[0] != "STORE"], ids=without_value)
    def test_a_valid_value_is_no_mistake(self, settings, row):
        assert found(settings, {row[0]: row[1]}) == []

    def test_no_setting_at_all_is_none(self, settings):
        settings.DBROUTE_PANEL = {}
        del settings.DBROUTE_PANEL
        assert check_settings(None) == []

    @pytest.mark.parametrize(("name", "value", "number", "text"), MISTAKES, ids=without_value)
    def test_a_mistake_names_its_key_and_what_to_do(self, settings, name, value, number, text):
        messages = found(settings, {name: value})
        assert {message.id for message in messages} == {f"dbroute_panel.E00{number}"}
        for message in messages:
            assert message.level == checks.ERROR
            assert message.msg.startswith(f"DBROUTE_PANEL[{name!r}] ")
            assert message.msg.endswith(".")
            assert message.hint
            assert "secret" not in str(message)
        assert text in " ".join(f"{message.msg} {message.hint}" for message in messages)

    @pytest.mark.parametrize(
        ("key", "hint"),
        [
            ("MAX_EVENT", "Did you mean 'MAX_EVENTS'?"),
            ("max_traces", "Did you mean 'MAX_TRACES'?"),
            ("SAMPLERATE", "Did you mean 'SAMPLE_RATE'?"),
            ("Replica", "Did you mean 'REPLICAS'?"),
            ("THEME", None),
            (42, None),
        ],
    )
    def test_an_unknown_key_names_the_nearest(self, settings, key, hint):
        (message,) = found(settings, {key: 1})
        assert message.id == "dbroute_panel.E002"
        assert repr(key) in message.msg
        assert message.hint == hint or (hint is None and all(repr(name) in message.hint for name in SETTINGS))

    @pytest.mark.parametrize(
        ("code", "hint"),
        [
            ("stale-raed", "Did you mean 'stale-read'?"),  # of a trace
            ("contrib_split", "Did you mean 'contrib-split'?"),  # of the routing
            ("archive-writen-in-request", "Did you mean 'archive-written-in-request'?"),  # of the project
            ("nonsense", "Valid are 'add-across-databases', 'archive-written-in-request', "),
        ],
    )
    def test_an_unknown_finding_names_the_nearest(self, settings, code, hint):
        own = ["example_site.findings.archive_written_in_request"]
        (message,) = found(settings, {"SILENCED_FINDINGS": ["stale-read", code], "FINDINGS": own})
        assert (message.id, message.level) == ("dbroute_panel.E004", checks.ERROR)
        assert message.msg.startswith(f"DBROUTE_PANEL['SILENCED_FINDINGS'] has '{code}', ")
        assert message.hint.startswith(hint)

    def test_every_code_may_be_silenced(self, settings):
        own = ["example_site.findings.archive_written_in_request"]
        codes = sorted(REGISTRY.keys() | LINTS.keys() | {"archive-written-in-request"})
        assert found(settings, {"SILENCED_FINDINGS": codes, "FINDINGS": own}) == []

    def test_a_function_that_does_not_tell_its_code_may_have_any(self, settings):
        own = [f"{__name__}.without_a_code"]
        assert found(settings, {"SILENCED_FINDINGS": ["of-my-own"], "FINDINGS": own}) == []

    @pytest.mark.parametrize("value", [None, [], "MAX_EVENTS", {"MAX_EVENTS"}])
    def test_not_a_dict(self, settings, value):
        (message,) = found(settings, value)
        assert message.id == "dbroute_panel.E001"
        assert type(value).__name__ in message.msg
        assert "DBROUTE_PANEL = {" in message.hint

    def test_all_mistakes_are_named_at_once(self, settings):
        value = {
            "MAX_EVENTS": 0,
            "KEEP": 1,
            "REPLICAS": {"a": "primary", "b": "primary"},
            "FINDINGS": ["no.a", "no.b"],
            "COLOUR": 1,
        }
        numbers = [message.id[-1] for message in found(settings, value)]
        assert numbers == ["4", "3", "5", "5", "7", "7", "2"]

    def test_a_module_that_breaks_while_it_is_imported(self, settings, tmp_path, monkeypatch):
        (tmp_path / "broken_module.py").write_text("raise LookupError('half of it is missing')")
        monkeypatch.syspath_prepend(tmp_path)
        for name, value in (("SHOULD_RECORD", "broken_module.x"), ("FINDINGS", ["broken_module.x"])):
            (message,) = found(settings, {name: value})
            assert message.id == "dbroute_panel.E007"
            assert "half of it is missing" in message.msg

    def test_a_value_that_breaks_when_it_is_looked_at(self, settings):
        class Hostile(dict):
            def items(self):
                raise RuntimeError("do not look")

        (message,) = found(settings, {"REPLICAS": Hostile(a="b")})
        assert message.id == "dbroute_panel.E004"
        assert "cannot be read: RuntimeError" in message.msg


def without_a_code(trace):
    yield Finding(code="of-my-own", level=Level.INFO, message="Something.", events=[])


class NoReason(MemoryStore):
    def problem(self):
        raise ConnectionError("no answer")


class Unmade(MemoryStore):
    def __init__(self):
        raise ConnectionError("no such host")


class TestStore:
    def store(self, **options) -> dict:
        return {"STORE": {"BACKEND": "dbroute_panel.stores.SQLiteStore", "OPTIONS": options}}

    def test_one_that_works(self, settings, tmp_path):
        assert found(settings, self.store(path=tmp_path / "deeper" / "a.sqlite3")) == []
        assert found(settings, {"STORE": {"BACKEND": "dbroute_panel.stores.MemoryStore"}}) == []
        assert list(tmp_path.iterdir()) == []

    def test_a_backend_that_is_not_there_names_the_nearest(self, settings):
        (message,) = found(settings, {"STORE": {"BACKEND": "dbroute_panel.store.SQLiteStore"}})
        assert message.id == "dbroute_panel.E008"
        assert message.msg.startswith("DBROUTE_PANEL['STORE']: ")
        assert message.hint == "Did you mean 'dbroute_panel.stores.SQLiteStore'?"

    def test_an_option_that_is_not_there_names_the_nearest(self, settings):
        (message,) = found(settings, self.store(paht="/tmp/a.sqlite3"))
        assert (message.id, message.hint) == ("dbroute_panel.E008", "Did you mean 'path'?")

    def test_the_file_of_a_database(self, settings, tmp_path, monkeypatch):
        monkeypatch.setitem(connections.settings["primary"], "NAME", tmp_path / "library.sqlite3")
        (message,) = found(settings, self.store(path=str(tmp_path / "library.sqlite3")))
        assert message.id == "dbroute_panel.E008"
        assert "is the database 'primary' itself" in message.msg

    def test_a_file_that_cannot_be_written_is_a_warning(self, settings, tmp_path):
        Path(tmp_path / "file").touch()
        (message,) = found(settings, self.store(path=tmp_path / "file" / "a.sqlite3"))
        assert (message.id, message.level) == ("dbroute_panel.W001", checks.WARNING)
        assert f"{tmp_path / 'file'} is not a folder" in message.msg
        assert "DBROUTE_PANEL['STORE']['OPTIONS']['path']" in message.hint

    def test_a_users_cache_that_cannot_be_written_is_a_warning(self, settings, tmp_path, monkeypatch):
        Path(tmp_path / "file").touch()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        assert [message.id for message in found(settings, {})] == ["dbroute_panel.W001"]

    def test_a_store_that_cannot_be_made(self, settings):
        (message,) = found(settings, {"STORE": {"BACKEND": f"{__name__}.Unmade"}})
        assert message.id == "dbroute_panel.E008"
        assert "Unmade cannot be used: no such host" in message.msg
        assert check_database_store(None, databases=["primary"]) == []

    def test_a_store_that_cannot_say(self, settings):
        (message,) = found(settings, {"STORE": {"BACKEND": f"{__name__}.NoReason"}})
        assert message.id == "dbroute_panel.W001"
        assert "no answer" in message.msg
