"""docs/opentelemetry.md says what is so: its attributes, settings and commands."""

from __future__ import annotations

import re
from pathlib import Path

from dbroute_panel.conf import SETTINGS, all_mistakes
from dbroute_panel.exports.semconv import ServerInfo
from dbroute_panel.exports.spans import build_spans

TEXT = (Path(__file__).parents[2] / "docs" / "opentelemetry.md").read_text(encoding="utf-8")


def documented():
    rows = re.findall(r"^\| (`(?:db|dbroute|django|http|code|error)\..*?) \|", TEXT, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def test_every_attribute_of_every_scenario_is_in_the_table(scenario_traces):
    server = ServerInfo(namespace="x", address="db", port=1)
    names = set()
    for traces in scenario_traces.values():
        for trace in traces:
            for span in build_spans(trace, dict.fromkeys(trace.databases, server)):
                names |= set(span.attributes)
    patterns = [re.escape(name).replace(r"\*", r"\w+").replace("<key>", ".+") for name in documented()]
    assert len(names) > 25
    assert {name for name in names if not any(re.fullmatch(p, name) for p in patterns)} == set()


def test_the_settings_are_valid():
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        found = {}
        exec(compile(block, "docs/opentelemetry.md", "exec"), found)
        assert found["DBROUTE_PANEL"]
        assert list(all_mistakes(found["DBROUTE_PANEL"])) == []
        assert set(found["DBROUTE_PANEL"]) <= set(SETTINGS)


def test_the_commands_exist_with_these_options(dbroute_parser):
    lines = re.findall(r"^python manage\.py dbroute (.+)$", TEXT, re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        dbroute_parser.parse_args(line.split())
