"""What CONTRIBUTING.md tells a newcomer to write works as it stands there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec
import pytest
from django.utils.translation import gettext_lazy

from dbroute_panel.exports import Format
from dbroute_panel.findings import INFO, Facts, FindingFunction, finding
from dbroute_panel.records import Finding, Trace
from dbroute_panel.stores import Store
from tests.packaging.conftest import ROOT
from tests.traces import a_query, a_trace

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
NAMES = {
    "Facts": Facts,
    "Finding": Finding,
    "Format": Format,
    "INFO": INFO,
    "Iterable": Iterable,
    "Iterator": Iterator,
    "Trace": Trace,
    "finding": finding,
    "gettext_lazy": gettext_lazy,
}


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def names_of(title: str) -> dict[str, object]:
    """What the one Python block of the section defines."""
    (block,) = re.findall(r"^ *```python\n(.*?)^ *```$", section(title), re.DOTALL | re.MULTILINE)
    indent = len(block) - len(block.lstrip())
    names: dict[str, object] = dict(NAMES)
    exec(re.sub(rf"^ {{{indent}}}", "", block, flags=re.MULTILINE), names)
    return names


@pytest.mark.parametrize(("seconds", "found"), [(0.9, []), (1.1, [("slow-replica", INFO, [1])])])
def test_the_finding_finds(seconds: float, found: list[object]) -> None:
    slow_replica = names_of("Add a finding")["slow_replica"]
    assert isinstance(slow_replica, FindingFunction)
    slow = a_query(1, "replica1", duration_us=seconds * 1_000_000)
    trace = a_trace(events=[slow, msgspec.structs.replace(slow, id=2, alias="primary")])

    assert [(one.code, one.level, one.events) for one in slow_replica(Facts(trace))] == found


def test_the_export_format_writes() -> None:
    tsv = names_of("Add an export format")["FORMAT"]
    trace = a_trace()

    assert isinstance(tsv, Format)
    assert (
        b"".join(tsv.write([trace, trace])) == f"{trace.id}\t{trace.name}\t{len(trace.events)}\n".encode() * 2
    )


def test_the_methods_of_a_store_are_those_that_it_must_have() -> None:
    listed = section("Add a store").partition(".Store`: ")[2].partition(".\n")[0]

    assert set(re.findall(r"`(\w+)`", listed)) == Store.__abstractmethods__


def test_what_the_layout_names_is_there() -> None:
    rows = re.findall(r"^\| (`[^|]*) \|", section("Layout"), re.MULTILINE)
    assert len(rows) == 11
    for row in rows:
        for name in re.findall(r"`([^`]+)`", row):
            for one in alternatives(name):
                assert (ROOT / one).exists() or (ROOT / "dbroute_panel" / one).exists(), one


def alternatives(name: str) -> list[str]:
    """``a/{b,c}.py`` is two names."""
    if (match := re.fullmatch(r"(.*)\{(.*)\}(.*)", name)) is None:
        return [name]
    before, inside, after = match.groups()
    return [f"{before}{one}{after}" for one in inside.split(",")]


def test_what_the_page_about_the_architecture_names_is_there() -> None:
    text = (ROOT / "docs/explanation/architecture.md").read_text()
    picture = (ROOT / "docs/images/architecture.svg").read_text()
    named = set(re.findall(r"`([\w/]+(?:\.py|/))`", text)) | {"CONTRIBUTING.md"}
    drawn = re.findall(r">([a-z_]+/|[a-z_]+\.py)<", picture)

    assert len(named) > 20
    assert [
        name for name in named if not any((ROOT / part / name).exists() for part in ("", "dbroute_panel"))
    ] == []
    for constant, file in re.findall(r"`([A-Z_]+)` in `([\w/.]+)`", text):
        assert re.search(rf"^{constant}\b", (ROOT / "dbroute_panel" / file).read_text(), re.MULTILINE), (
            constant
        )
    assert [name for name in drawn if not any(name in one for one in named)] == []


def test_the_make_targets_exist() -> None:
    makefile = "".join((ROOT / name).read_text() for name in ("Makefile", "tools/targets.mk"))
    targets = re.findall(r"^\$ make ([\w-]+)", section("Set up and run"), re.MULTILINE)
    assert "test" in targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
