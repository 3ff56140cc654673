"""
The pages speak German and French: the catalogues are whole, and no text of ours stays English.

What is data stays as it is: names, SQL, code, and the messages of findings, which are a part of the trace.
"""

from __future__ import annotations

import gettext
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import html5lib
import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from django.apps import apps
from django.db import connections
from django.utils.text import Truncator

import dbroute_panel
from dbroute_panel import exports, findings
from dbroute_panel.forms.filters import HTTP_METHODS
from dbroute_panel.inspection.lints.registry import LINTS
from dbroute_panel.records import Action, Query, Trace
from example_site import scenarios
from example_site.scenarios.running import run
from tests.security.pages import HERE, PAGES, person, posted, url
from tests.traces import a_decision, a_finding, a_query, a_trace

pytestmark = pytest.mark.unmeasured

PACKAGE = Path(dbroute_panel.__file__).parent
ROOT = PACKAGE.parent
LANGUAGES = ["de", "fr"]
BASE = "/admin/dbroute_panel/trace/"
PLACEHOLDER = re.compile(r"%\(\w+\)[sdrg]|</?\w+>|(?<!\w)--[a-z-]+|_state\.db|MAX_EVENTS")


def catalogue(folder: Path, language: str) -> list[Message]:
    """The strings, without the header."""
    with (folder / f"{language}/LC_MESSAGES/django.po").open("rb") as file:
        return [message for message in read_po(file, locale=language) if message.id]


def forms(text: str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    return request.param


def test_each_string_is_translated_and_none_is_left_to_be_looked_at(language):
    messages = catalogue(PACKAGE / "locale", language)

    assert len(messages) > 500
    assert [m.id for m in messages if m.fuzzy or not all(forms(m.string))] == []
    assert [m.id for m in messages if len(forms(m.string)) != len(forms(m.id))] == []


def test_what_is_filled_in_is_the_same_in_each_translation(language):
    """Also tags, options and names in the code; and the space at an end, next to which something is put."""
    for message in catalogue(PACKAGE / "locale", language):
        for source, said in zip(forms(message.id), forms(message.string), strict=True):
            assert sorted(PLACEHOLDER.findall(said)) == sorted(PLACEHOLDER.findall(source)), source
            assert (said[0] == " ", said[-1] == " ") == (source[0] == " ", source[-1] == " "), source


def test_a_french_sign_has_a_space_before_it_at_which_no_line_ends():
    """As in Django's own catalogue; a colon without any may be in code."""
    wrong = re.compile(r" ([:;!»]|\?(?!\w+=))|« |[^\W\d][;!?»]")
    for message in catalogue(PACKAGE / "locale", "fr"):
        for text in forms(message.string):
            assert not wrong.search(text), text


def test_the_compiled_catalogue_is_made_of_the_one_that_people_edit(language):
    with (PACKAGE / f"locale/{language}/LC_MESSAGES/django.mo").open("rb") as file:
        compiled: dict[Any, str] = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    expected: dict[Any, str] = {}
    for message in catalogue(PACKAGE / "locale", language):
        if isinstance(message.id, str):
            expected[message.id] = str(message.string)
        else:
            expected |= {(message.id[0], n): text for n, text in enumerate(forms(message.string))}

    assert {key: text for key, text in compiled.items() if key} == expected


@pytest.mark.skipif(
    not (shutil.which("xgettext") or os.environ.get("CI")), reason="needs gettext: apt install gettext"
)
def test_the_catalogues_have_each_string_of_the_code_and_no_other(tmp_path):
    """``make messages`` would change nothing; here it works on a copy, in the environment of this test."""
    left = shutil.ignore_patterns("__pycache__", "docs", "static")
    for name in ("dbroute_panel", "templates", "tools"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True, ignore=left)
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for stamp in (".made", ".installed-test"):
        (tmp_path / stamp).touch()
    subprocess.run(
        ["make", "messages", f"VENV={tmp_path}", f"BIN={Path(sys.executable).parent}"],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )

    for language in LANGUAGES:
        here = {forms(m.id) for m in catalogue(PACKAGE / "locale", language)}
        now = {forms(m.id) for m in catalogue(tmp_path / "dbroute_panel/locale", language)}
        assert (now - here, here - now) == (set(), set()), "run make messages, and translate what is new"


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("de", ["Zeitleiste", "Wer entschied", "Traces importieren", "Datenbank-Routing"]),
        ("fr", ["Chronologie", "Qui a décidé", "Importer des traces", "Routage des bases de données"]),
    ],
)
def test_pages_are_in_the_language_of_the_admin(site, store, settings, language, texts):
    settings.LANGUAGE_CODE = language
    settings.USE_THOUSAND_SEPARATOR = True
    store.save(HERE)
    client = person("superuser")
    pages = [client.get(url(name)) for name in ("change", "import", "changelist")]
    body = "".join(page.content.decode() for page in pages)

    assert body.count(f'<html lang="{language}" dir="ltr"') == len(pages)
    assert [text for text in texts if text not in body] == []


def test_a_key_is_written_as_it_is_however_the_language_writes_numbers(site, store, settings):
    settings.LANGUAGE_CODE = "de"
    settings.USE_THOUSAND_SEPARATOR = True
    found = a_finding("stale-read", 1235)
    asked = a_decision(1234, at_us=3, parent_id=None)
    inside = a_query(1235, at_us=4, decision_id=1234, parent_id=1234, transaction_number=1236)
    alike = a_query(1237, at_us=5, decision_id=1234, transaction_number=1236)
    store.save(trace := a_trace(7, events=[asked, inside, alike], findings=[found]))
    client = person("superuser")
    page = f"/admin/dbroute_panel/trace/{trace.id}/change/"
    for query in ("", "?event=1235", "?q=1235", "?group=statements", "?questions=on"):
        body = client.get(page + query).content.decode()
        assert "#1235" in body or query == "?group=statements"
        assert re.findall(r"[^\n]{0,60}1[.]23[4-7][^\n]{0,20}", body) == [], query


class TestNothingOfOursStaysEnglish:
    """Where each string of ours is put into brackets, no other words are on a page than data."""

    LEFT_OUT = frozenset({"code", "pre", "textarea", "kbd", "bdi", "time", "script", "article"})
    """The elements of what is quoted: code, input, keys, paths, times, and the documentation."""
    DATA_CLASSES = frozenset(
        {"dbroute-where", "dbroute-statement", "dbroute-said", "dbroute-mark", "dbroute-message"}
    )
    """Where a line of code stands, its SQL, and what findings say."""
    SPOKEN = ("title", "aria-label", "placeholder", "alt", "data-label")

    @pytest.fixture
    def pseudo(self, settings, tmp_path):
        bracketed = Catalog(locale="de")
        for message in catalogue(PACKAGE / "locale", "de"):
            texts = tuple(f"⟦{text}⟧" for text in forms(message.id))
            bracketed.add(message.id, texts if len(texts) > 1 else texts[0])
        folder = tmp_path / "locale/de/LC_MESSAGES"
        folder.mkdir(parents=True)
        with (folder / "django.mo").open("wb") as file:
            write_mo(file, bracketed)
        settings.LOCALE_PATHS = [tmp_path / "locale"]
        settings.LANGUAGE_CODE = "de"

    def spoken(self, body: str) -> Iterator[str]:
        """The texts and labels of ``#dbroute``, without what is quoted."""
        tree = html5lib.parse(body, namespaceHTMLElements=False)
        (root,) = (element for element in tree.iter() if element.get("id") == "dbroute")

        def walk(element: Any) -> Iterator[str]:
            quoted = element.tag in self.LEFT_OUT or self.DATA_CLASSES & {*element.get("class", "").split()}
            if isinstance(element.tag, str) and not quoted:
                yield from (f"\0{element.get(name, '')}\0" for name in self.SPOKEN)
                yield element.text or ""
                for child in element:
                    yield from walk(child)
            yield element.tail or ""

        return walk(root)

    def left(self, body: str, data: re.Pattern[str]) -> list[str]:
        """What is neither in brackets nor data. A string may have brackets in it, and tags."""
        shown = "".join(self.spoken(body))
        depth, outside = 0, []
        for part in re.split("([⟦⟧])", shown):
            if part in ("⟦", "⟧"):
                depth += 1 if part == "⟦" else -1
                outside.append("\0")
            elif not depth:
                outside.append(part)
        assert depth == 0
        return [
            text.strip()
            for text in data.sub("\0", "".join(outside)).split("\0")
            if re.search(r"[^\W\d_]", text)
        ]

    PYTHON = frozenset({"True", "False", "None", "obj1", "obj2", "db", "app_label", "model_name", "instance"})
    """Arguments and their values, as they are in the code."""

    def data(self, traces: list[Trace]) -> re.Pattern[str]:
        """All names that the site and its traces have, the longest first."""
        names: set[str] = {
            *connections,
            *Action,
            *findings.codes(),
            *PAGES,
            *HTTP_METHODS,
            *LINTS,
            *self.PYTHON,
            "A",
            "B",
            "sqlite",
            "HTML",
        }
        for model in apps.get_models(include_auto_created=True):
            names |= {model._meta.label, model._meta.object_name or "", model._meta.app_label}
        names |= {one.label for one in exports.FORMATS.values()}
        for trace in traces:
            names |= {trace.name, Truncator(trace.name).chars(48), *trace.databases, *trace.routers}
            names |= {trace.request.path} if trace.request else set()
            names |= {router.rpartition(".")[2] for router in trace.routers}
            names |= {found.message for found in trace.findings}
            names |= {event.callsite.function for event in trace.events if event.callsite}
            names |= {event.error for event in trace.events if isinstance(event, Query) and event.error}
            names |= {event.error for event in trace.exceptions}
            names |= {event.function for event in trace.commit_hooks}
        words = "|".join(re.escape(name) for name in sorted(filter(None, names), key=len, reverse=True))
        return re.compile(rf"(?<!\w)(?:{words}|[\d.,–]+\s(?:µs|ms|s)|T\d+)(?!\w)")

    @pytest.fixture
    def traces(self, store, site):
        store.save(HERE)
        for number in (1, 9, 13, 16, 25, 26):
            (part,) = run(scenarios.SCENARIOS[number])
            assert part.error is None
        return list(store.traces())

    def found(self, bodies: dict[str, str], traces: list[Trace]) -> dict[str, list[str]]:
        data = self.data(traces)
        return {name: left for name, body in bodies.items() if (left := self.left(body, data))}

    def test_on_any_page(self, traces, pseudo):
        client = person("superuser")
        pages = {name: page for name, page in PAGES.items() if name not in {"export", "models"}}
        bodies = {name: client.get(url(name)).content.decode() for name in pages}
        for name, page in pages.items():
            if page.do is not None and page.done == 200:
                bodies[f"{name}, posted"] = client.post(url(name), posted(name)).content.decode()
        client.post(f"{BASE}map/", {"ask": "1"})
        for path in ("map/", "?path=/no", "?finding=stale-read", "compare/"):
            bodies[path] = client.get(f"{BASE}{path}").content.decode()
        for other in traces[1:]:
            path = f"compare/?a={traces[0].id}&b={other.id}"
            bodies[path] = client.get(f"{BASE}{path}").content.decode()

        assert self.found(bodies, traces) == {}

    def test_on_a_trace_with_each_kind_of_event_opened(self, traces, pseudo):
        client = person("superuser")
        paths = [
            f"{trace.id}/change/{query}"
            for trace in traces
            for query in ("", "?group=statements", "?q=nothing", "?questions=on", *opened(trace))
        ]
        bodies = {path: client.get(f"{BASE}{path}").content.decode() for path in paths}

        assert self.found(bodies, traces) == {}

    def test_in_the_sandbox(self, traces, pseudo):
        client = person("superuser")
        asked: list[dict[str, str]] = [
            {"action": "db_for_write", "instance": "new", "repeat": "20"},
            {"action": "allow_relation", "instance": "new", "other_model": "users.Loan", "other": "new"},
            {"action": "allow_migrate", "db": "archive"},
            {"action": "db_for_read", "model": "library.Bok"},
            {"action": "db_for_read", "hints": "[]"},
        ]
        bodies = {
            str(given): client.post(
                f"{BASE}sandbox/", {"model": "library.Book", "repeat": "1"} | given
            ).content.decode()
            for given in asked
        }

        assert self.found(bodies, traces) == {}

    def test_in_the_file_for_a_colleague(self, traces, pseudo):
        bodies = {trace.name: b"".join(exports.FORMATS["html"].write([trace])).decode() for trace in traces}

        assert self.found(bodies, traces) == {}


def opened(trace: Trace) -> list[str]:
    """The queries that open one event of each kind: by what settled it, or its route."""
    kinds = {
        str(
            getattr(event, "decided_by", None) or getattr(event, "route", None) or type(event).__name__
        ): event.id
        for event in trace.events
    }
    return [f"?event={id}" for id in kinds.values()]
