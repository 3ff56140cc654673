from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest
from django.conf import settings as site_settings
from django.test import override_settings

from dbroute_panel import recording
from dbroute_panel.conf import SETTINGS, PanelSettings, panel_settings, replicas
from tests.threads import together


def sometimes(request) -> bool:
    return request == "sometimes"


async def later(request) -> bool:
    return True


def too_many(request, response) -> bool:
    return True


def finding(trace):
    return []


SQLITE = {"BACKEND": "dbroute_panel.stores.SQLiteStore", "OPTIONS": {}}
NAN = float("nan")

#: Per key, in the contract's order: its default as it is read.
DEFAULTS = {
    "SHOULD_RECORD": recording.should_record,
    "SAMPLE_RATE": 0.0,
    "KEEP": "all",
    "RECORD_PARAMS": False,
    "CALLSITES": True,
    "USER_PACKAGES": (),
    "FOLLOW_SESSIONS": False,
    "MAX_EVENTS": 10_000,
    "MAX_TRACES": 500,
    "REPLICAS": {},
    "STORE": SQLITE,
    "OTLP_ENDPOINT": None,
    "SILENCED_FINDINGS": frozenset(),
    "FINDINGS": (),
    "SERVER_TIMING": False,
    "EDITOR_URL": None,
}

#: A value that is set, and how it is then read.
VALID = [
    ("SHOULD_RECORD", sometimes, sometimes),
    ("SHOULD_RECORD", f"{__name__}.sometimes", sometimes),
    ("SHOULD_RECORD", bool, bool),
    ("SHOULD_RECORD", max, max),  # has no signature
    ("SAMPLE_RATE", 0, 0.0),
    ("SAMPLE_RATE", 0.05, 0.05),
    ("SAMPLE_RATE", 1, 1.0),
    ("KEEP", "findings", "findings"),
    ("RECORD_PARAMS", True, True),
    ("RECORD_PARAMS", False, False),
    ("RECORD_PARAMS", None, False),
    ("CALLSITES", False, False),
    ("USER_PACKAGES", ["example_site", "example_site.library"], ("example_site", "example_site.library")),
    ("USER_PACKAGES", {"django.contrib"}, ("django.contrib",)),
    ("FOLLOW_SESSIONS", True, True),
    ("MAX_EVENTS", 1, 1),
    ("MAX_EVENTS", 100_000, 100_000),
    ("MAX_TRACES", 1, 1),
    (
        "REPLICAS",
        {"replica1": "primary", "replica2": "replica1"},
        {"replica1": "primary", "replica2": "replica1"},
    ),
    ("STORE", {"BACKEND": "my.Store"}, {"BACKEND": "my.Store", "OPTIONS": {}}),
    ("STORE", SQLITE | {"OPTIONS": {"path": "/x"}}, SQLITE | {"OPTIONS": {"path": "/x"}}),
    ("OTLP_ENDPOINT", "http://localhost:4318/v1/traces", "http://localhost:4318/v1/traces"),
    ("OTLP_ENDPOINT", "https://user:secret@[::1]/", "https://user:secret@[::1]/"),
    ("OTLP_ENDPOINT", None, None),
    ("SILENCED_FINDINGS", ["stale-read"], {"stale-read"}),
    ("SILENCED_FINDINGS", ("stale-read",), {"stale-read"}),
    ("SILENCED_FINDINGS", {"stale-read"}, {"stale-read"}),
    ("FINDINGS", [f"{__name__}.finding"], (finding,)),
    ("SERVER_TIMING", True, True),
    ("SERVER_TIMING", False, False),
    ("SERVER_TIMING", None, False),
    ("EDITOR_URL", "vscode://file/{file}:{line}", "vscode://file/{file}:{line}"),
    ("EDITOR_URL", "pycharm://open?file={file}&line={line}", "pycharm://open?file={file}&line={line}"),
    ("EDITOR_URL", "txmt://open?url=file://{file}", "txmt://open?url=file://{file}"),
    ("EDITOR_URL", None, None),
]

#: A value that is a mistake, the number of its check, and what the check says.
MISTAKES = [
    ("SHOULD_RECORD", None, 3, "of type NoneType"),
    ("SHOULD_RECORD", 1, 3, "of type int"),
    ("SHOULD_RECORD", "", 7, "cannot be imported"),
    ("SHOULD_RECORD", "nowhere.at_all", 7, "'nowhere.at_all', which cannot be imported"),
    ("SHOULD_RECORD", f"{__name__}.never", 7, "cannot be imported"),
    ("SHOULD_RECORD", f"{__name__}.NAN", 3, "which cannot be called"),
    ("SHOULD_RECORD", later, 4, "which is async"),
    ("SHOULD_RECORD", too_many, 4, "does not take one argument"),
    ("SAMPLE_RATE", "0.5", 3, "of type str"),
    ("SAMPLE_RATE", True, 3, "of type bool"),
    ("SAMPLE_RATE", None, 3, "of type NoneType"),
    ("SAMPLE_RATE", 5, 4, "is 5."),
    ("SAMPLE_RATE", 1.0001, 4, "is 1.0001."),
    ("SAMPLE_RATE", -0.1, 4, "is -0.1."),
    ("SAMPLE_RATE", NAN, 4, "is nan."),
    ("KEEP", "finding", 4, "Did you mean 'findings'?"),
    ("KEEP", "All", 4, "Did you mean 'all'?"),
    ("KEEP", "none", 4, "Valid are 'all', 'findings'."),
    ("KEEP", True, 3, "of type bool"),
    ("KEEP", ["all"], 3, "of type list"),
    ("RECORD_PARAMS", 1, 3, "of type int"),
    ("RECORD_PARAMS", "no", 3, "of type str"),
    ("CALLSITES", None, 3, "of type NoneType"),
    ("CALLSITES", 0, 3, "of type int"),
    ("FOLLOW_SESSIONS", 1, 3, "of type int"),
    ("USER_PACKAGES", "example_site", 3, "of type str"),
    ("USER_PACKAGES", [pytest], 3, "an entry of type module"),
    ("USER_PACKAGES", ["exmaple_site"], 7, "Did you mean 'example_site'?"),
    ("USER_PACKAGES", ["example_site.libary"], 7, "Did you mean 'example_site.library'?"),
    ("USER_PACKAGES", ["nowhere_at_all"], 7, "'nowhere_at_all', which cannot be found"),
    ("USER_PACKAGES", [""], 7, "names '', which cannot be found"),
    ("MAX_EVENTS", 0, 4, "is 0."),
    ("MAX_EVENTS", -1, 4, "is -1."),
    ("MAX_EVENTS", True, 3, "of type bool"),
    ("MAX_EVENTS", 1e4, 3, "of type float"),
    ("MAX_EVENTS", None, 3, "of type NoneType"),
    ("MAX_TRACES", 0, 4, "is 0."),
    ("MAX_TRACES", "500", 3, "of type str"),
    ("REPLICAS", ["replica1"], 3, "of type list"),
    ("REPLICAS", {"replca1": "primary"}, 5, "Did you mean 'replica1'?"),
    ("REPLICAS", {"replica1": "prmary"}, 5, "'prmary', which is not in DATABASES"),
    ("REPLICAS", {"replica1": None}, 3, "alias of type NoneType"),
    ("REPLICAS", {"replica1": "replica1"}, 6, "makes 'replica1' a replica of itself"),
    ("REPLICAS", {"replica1": "replica2", "replica2": "replica1"}, 6, "a replica of itself"),
    ("REPLICAS", {"replica1": ["primary"]}, 4, "cannot be read: TypeError"),
    ("STORE", "dbroute_panel.stores.SQLiteStore", 3, "of type str"),
    ("STORE", {}, 8, "has no 'BACKEND'"),
    ("STORE", {"BACKEND": 1}, 3, "a 'BACKEND' of type int"),
    ("STORE", {"BACKEND": "my.Store", "OPTION": {}}, 8, "Did you mean 'OPTIONS'?"),
    ("STORE", {"BACKEND": "my.Store", "OPTIONS": []}, 3, "has 'OPTIONS' that are not a dict"),
    ("STORE", {"BACKEND": "my.Store", "OPTIONS": {1: 2}}, 3, "has 'OPTIONS' that are not a dict"),
    ("OTLP_ENDPOINT", 4318, 3, "of type int"),
    ("OTLP_ENDPOINT", "", 4, "no URL"),
    ("OTLP_ENDPOINT", "localhost:4318", 4, "no URL"),
    ("OTLP_ENDPOINT", "grpc://localhost:4317", 4, "no URL"),
    ("OTLP_ENDPOINT", "http://", 4, "no URL"),
    ("OTLP_ENDPOINT", "http://user:secret@host:port/", 4, "no URL"),
    ("OTLP_ENDPOINT", "http://[::1/", 4, "no URL"),
    ("SILENCED_FINDINGS", "stale-read", 3, "of type str"),
    ("SILENCED_FINDINGS", [1], 3, "an entry of type int"),
    ("FINDINGS", f"{__name__}.finding", 3, "of type str"),
    ("FINDINGS", [finding], 3, "an entry of type function"),
    ("FINDINGS", [f"{__name__}.no_finding"], 7, "cannot be imported"),
    ("FINDINGS", [f"{__name__}.too_many"], 4, "does not take one argument"),
    ("SERVER_TIMING", "yes", 3, "of type str"),
    ("EDITOR_URL", 1, 3, "of type int"),
    ("EDITOR_URL", "vscode://file/{path}:{line}", 4, "the placeholder {path}"),
    ("EDITOR_URL", "vscode://file/{file.__class__}", 4, "the placeholder {file.__class__}"),
    ("EDITOR_URL", "vscode://file/{file!r}", 4, "formats a placeholder"),
    ("EDITOR_URL", "vscode://file/{file}:{line:>99999999}", 4, "formats a placeholder"),
    ("EDITOR_URL", "vscode://file/{file", 4, "braces that do not match"),
    ("EDITOR_URL", "vscode://file/", 4, "has no placeholder {file}"),
    ("EDITOR_URL", "{file}:{line}", 4, "is not the URL of an editor"),
    ("EDITOR_URL", "JavaScript:alert('{file}')", 4, "is not the URL of an editor"),
]


def without_value(row) -> str:
    return row if isinstance(row, str) and len(row) < 60 else ""


class TestReading:
    @pytest.mark.parametrize("name", SETTINGS)
    def test_every_key_has_its_default(self, settings, name):
        settings.DBROUTE_PANEL = {}
        assert getattr(panel_settings, name) == DEFAULTS[name]

    def test_the_keys_are_those_of_the_contract(self):
        assert list(SETTINGS) == list(DEFAULTS)
        assert [name for name in vars(PanelSettings) if name.isupper()] == list(DEFAULTS)

    def test_no_setting_at_all_is_all_defaults(self, settings):
        settings.DBROUTE_PANEL = {}
        del settings.DBROUTE_PANEL
        assert {name: getattr(panel_settings, name) for name in SETTINGS} == DEFAULTS

    @pytest.mark.parametrize(("name", "value", "expected"), VALID)
    def test_a_valid_value_is_used(self, name, value, expected, caplog):
        with override_settings(DBROUTE_PANEL={name: value}):
            assert getattr(panel_settings, name) == expected
        assert caplog.records == []

    @pytest.mark.parametrize(("name", "value", "expected"), VALID)
    def test_an_override_ends(self, settings, name, value, expected):
        settings.DBROUTE_PANEL = {}
        with override_settings(DBROUTE_PANEL={name: value}):
            getattr(panel_settings, name)
        assert getattr(panel_settings, name) == DEFAULTS[name]

    @pytest.mark.parametrize("name", ["RECORD_PARAMS", "SERVER_TIMING"])
    def test_none_is_what_debug_is_now_even_if_nobody_said_that_it_changed(self, settings, name):
        settings.DBROUTE_PANEL = {name: None}
        settings.DEBUG = True
        assert getattr(panel_settings, name) is True
        site_settings.DEBUG = False  # as Django's test runner does it
        assert getattr(panel_settings, name) is False
        settings.DBROUTE_PANEL = {name: True}
        assert getattr(panel_settings, name) is True

    def test_changing_what_was_read_does_not_change_the_settings(self, settings):
        settings.DBROUTE_PANEL = {"REPLICAS": {}, "STORE": {"BACKEND": "my.Store", "OPTIONS": {"a": 1}}}
        panel_settings.REPLICAS["replica1"] = "primary"
        panel_settings.STORE["OPTIONS"]["a"] = 2
        assert settings.DBROUTE_PANEL == {
            "REPLICAS": {},
            "STORE": {"BACKEND": "my.Store", "OPTIONS": {"a": 1}},
        }
        del settings.DBROUTE_PANEL
        panel_settings.STORE["OPTIONS"]["a"] = 2
        settings.DBROUTE_PANEL = {}
        assert panel_settings.STORE == SQLITE

    def test_a_value_is_checked_once_however_often_it_is_read(self, settings):
        looked_up = []

        class Watched(dict):
            def __getitem__(self, name):
                looked_up.append(name)
                return super().__getitem__(name)

        settings.DBROUTE_PANEL = Watched(MAX_EVENTS=7)
        assert {panel_settings.MAX_EVENTS for _ in range(10)} == {7}
        assert 0 < len(looked_up) <= 2
        looked_up.clear()
        assert panel_settings.MAX_EVENTS == 7
        assert looked_up == []


class TestFallingBack:
    @pytest.mark.parametrize(("name", "value", "number", "text"), MISTAKES, ids=without_value)
    def test_a_mistake_is_logged_once_and_the_default_used(self, settings, caplog, name, value, number, text):
        settings.DBROUTE_PANEL = {name: value}
        with caplog.at_level(logging.ERROR, "dbroute_panel"):
            for _ in range(3):
                assert getattr(panel_settings, name) == DEFAULTS[name]
        assert len(caplog.records) == 1
        assert f"DBROUTE_PANEL[{name!r}]" in caplog.text

    def test_the_other_keys_are_used(self, settings):
        settings.DBROUTE_PANEL = {"MAX_EVENTS": -1, "MAX_TRACES": 7, "MAX_TRACE": 8}
        assert panel_settings.MAX_TRACES == 7

    @pytest.mark.parametrize("value", [None, [], "MAX_EVENTS", 1])
    def test_not_a_dict_is_logged_once_and_all_defaults_used(self, settings, caplog, value):
        settings.DBROUTE_PANEL = value
        with caplog.at_level(logging.ERROR, "dbroute_panel"):
            assert {name: getattr(panel_settings, name) for name in SETTINGS} == DEFAULTS
        assert len(caplog.records) == 1
        assert f"DBROUTE_PANEL is of type {type(value).__name__}" in caplog.text

    def test_threads_that_read_it_first_together_log_once(self, settings, caplog):
        settings.DBROUTE_PANEL = {"MAX_EVENTS": -1}
        assert together(lambda: panel_settings.MAX_EVENTS) == [10_000] * 8
        assert len(caplog.records) == 1


class TestReplicas:
    @pytest.fixture
    def mirror(self, settings, monkeypatch):
        def set_mirror(alias: str, mirror: str) -> None:
            test = site_settings.DATABASES[alias].get("TEST", {}) | {"MIRROR": mirror}
            monkeypatch.setitem(site_settings.DATABASES[alias], "TEST", test)

        settings.DBROUTE_PANEL = {}
        for alias in site_settings.DATABASES:
            set_mirror(alias, None)
        return set_mirror

    def test_none(self, mirror):
        assert replicas() == {}

    def test_as_set(self, mirror, settings):
        settings.DBROUTE_PANEL = {"REPLICAS": {"replica1": "primary", "replica2": "primary"}}
        assert replicas() == {"replica1": "primary", "replica2": "primary"}

    def test_a_mirror_is_a_replica_without_being_named(self, mirror, settings):
        settings.DBROUTE_PANEL = {"REPLICAS": {"replica2": "primary"}}
        mirror("replica1", "primary")
        assert replicas() == {"replica1": "primary", "replica2": "primary"}
        assert panel_settings.REPLICAS == {"replica2": "primary"}

    def test_what_is_set_has_the_last_word(self, mirror, settings):
        settings.DBROUTE_PANEL = {"REPLICAS": {"replica1": "archive"}}
        mirror("replica1", "primary")
        assert replicas() == {"replica1": "archive"}

    def test_a_replica_of_a_replica_has_its_primary(self, mirror, settings):
        settings.DBROUTE_PANEL = {"REPLICAS": {"replica2": "replica1"}}
        mirror("replica1", "primary")
        assert replicas() == {"replica1": "primary", "replica2": "primary"}

    def test_a_circle_has_no_primary(self, mirror, settings):
        settings.DBROUTE_PANEL = {"REPLICAS": {"replica2": "replica1"}}
        mirror("replica1", "replica2")
        mirror("archive", "primary")
        assert replicas() == {"archive": "primary"}

    def test_a_mirror_that_is_not_there_is_none(self, mirror):
        mirror("replica1", "nowhere")
        assert replicas() == {}

    def test_an_alias_without_test_settings(self, mirror, monkeypatch):
        monkeypatch.setitem(site_settings.DATABASES, "added_at_run_time", {"ENGINE": "x"})
        monkeypatch.setitem(site_settings.DATABASES, "and_another", {"ENGINE": "x", "TEST": None})
        assert replicas() == {}

    def test_an_alias_that_is_added_at_run_time(self, mirror, monkeypatch):
        database = {"ENGINE": "x", "TEST": {"MIRROR": "primary"}}
        monkeypatch.setitem(site_settings.DATABASES, "added_at_run_time", database)
        assert replicas() == {"added_at_run_time": "primary"}


def test_reading_settings_needs_no_app_registry_and_no_connection():
    """``panel_settings`` may be read while settings are still being put together."""
    program = (
        "import sys\n"
        "from django.conf import settings; settings.configure(DBROUTE_PANEL={'MAX_EVENTS': 7})\n"
        "from dbroute_panel.conf import panel_settings, replicas\n"
        "assert panel_settings.MAX_EVENTS == 7 and replicas() == {}\n"
        "assert 'django.db' not in sys.modules, 'the ORM was imported'\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (ended.returncode, ended.stderr) == (0, "")
