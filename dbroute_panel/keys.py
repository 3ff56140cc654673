"""
Which keys may ``settings.DBROUTE_PANEL`` have, and what may each hold?

One table, ``KEYS``. The system checks report what its rules find; at run time the same rules
decide whether ``panel_settings`` uses a value or its default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from dbroute_panel.rules import (
    Key,
    Mistake,
    Wrong,
    editor_url,
    endpoint,
    findings,
    instance_of,
    loaded,
    number,
    one_of,
    packages,
    replicas,
    should_record,
    store,
    strings,
)
from dbroute_panel.suggestions import did_you_mean

_COUNT = "a whole number from 1"
_DEFAULT_STORE = {"BACKEND": "dbroute_panel.stores.SQLiteStore", "OPTIONS": {}}

KEYS: Final[Mapping[str, Key]] = {
    key.name: key
    for key in (
        Key(
            "SHOULD_RECORD",
            "dbroute_panel.recording.should_record",
            "a function (request) -> bool, or its dotted path",
            should_record,
            loaded,
        ),
        Key("SAMPLE_RATE", 0.0, "a number from 0.0 to 1.0", number(int, float, least=0, most=1), float),
        Key("KEEP", "all", "'all' or 'findings'", one_of("all", "findings")),
        Key("RECORD_PARAMS", None, "True, False, or None for settings.DEBUG", instance_of(bool, type(None))),
        Key("CALLSITES", True, "True or False", instance_of(bool)),
        Key("USER_PACKAGES", [], "a list of names of packages, as ['shop']", packages, tuple),
        Key("FOLLOW_SESSIONS", False, "True or False", instance_of(bool)),
        Key("MAX_EVENTS", 10_000, _COUNT, number(int, least=1)),
        Key("MAX_TRACES", 500, _COUNT, number(int, least=1)),
        Key("REPLICAS", {}, "a dict of aliases, as {'replica1': 'primary'}", replicas, dict),
        Key(
            "STORE",
            _DEFAULT_STORE,
            "a dict, as {'BACKEND': 'dbroute_panel.stores.SQLiteStore', 'OPTIONS': {}}",
            store,
            lambda value: {"BACKEND": value["BACKEND"], "OPTIONS": dict(value.get("OPTIONS", {}))},
        ),
        Key("OTLP_ENDPOINT", None, "a URL, as 'http://localhost:4318/v1/traces', or None", endpoint),
        Key("SILENCED_FINDINGS", [], "a list of codes, as ['stale-read']", strings, frozenset),
        Key(
            "FINDINGS",
            [],
            "a list of dotted paths of functions that take a trace",
            findings,
            lambda value: tuple(loaded(path) for path in value),
        ),
        Key("SERVER_TIMING", None, "True, False, or None for settings.DEBUG", instance_of(bool, type(None))),
        Key(
            "EDITOR_URL",
            None,
            "a URL with {file} and {line}, as 'vscode://file/{file}:{line}', or None",
            editor_url,
        ),
    )
}


def all_mistakes(value: object) -> Iterator[Mistake]:
    """Everything that is wrong with the whole of ``settings.DBROUTE_PANEL``."""
    if not isinstance(value, dict):
        message = f"DBROUTE_PANEL is of type {type(value).__name__}."
        yield Mistake(Wrong.NO_DICT, message, "Make it a dict, as DBROUTE_PANEL = {'MAX_TRACES': 500}.")
        return
    for name in value:
        if name in KEYS:
            yield from KEYS[name].mistakes(value[name])
        else:
            message = f"DBROUTE_PANEL has no key {name!r}."
            yield Mistake(Wrong.UNKNOWN_KEY, message, did_you_mean(str(name), KEYS))
