"""Where the code of a package lies is found without importing it."""

from __future__ import annotations

import importlib
import sys
import types

import pytest

from dbroute_panel.packages import places_of


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two folders with modules that must not be imported; they are on the path."""
    monkeypatch.setattr(sys, "path", [str(tmp_path / "one"), str(tmp_path / "two"), *sys.path])
    for file in (
        "one/alone.py",
        "one/shop_/__init__.py",
        "one/shop_/cart.py",
        "one/shop_/deeper/views.py",
        "one/acme_/tools/__init__.py",
        "two/acme_/reports/__init__.py",
    ):
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("raise AssertionError('imported')\n")
    importlib.invalidate_caches()
    yield tmp_path.as_posix()
    importlib.invalidate_caches()


@pytest.mark.parametrize(
    ("name", "places"),
    [
        ("alone", ["one/alone.py"]),
        ("shop_", ["one/shop_/"]),
        ("shop_.cart", ["one/shop_/cart.py"]),
        ("shop_.deeper", ["one/shop_/deeper/"]),
        ("shop_.deeper.views", ["one/shop_/deeper/views.py"]),
        ("acme_", ["one/acme_/", "two/acme_/"]),
        ("acme_.reports", ["two/acme_/reports/"]),
        ("alone.nothing", []),
        ("shop_.nothing", []),
        ("nowhere_at_all", []),
        ("nowhere_at_all.either", []),
        ("", []),
        (".shop_", []),
        ("shop_..cart", []),
    ],
)
def test_its_folders_or_its_file(folder, name, places):
    assert places_of(name) == [f"{folder}/{place}" for place in places]


def test_what_is_written_in_c_lies_nowhere():
    assert places_of("sys") == []


def test_a_module_without_a_spec_lies_where_it_says(monkeypatch):
    made = types.ModuleType("made_up")
    monkeypatch.setitem(sys.modules, "made_up", made)
    assert places_of("made_up") == []
    made.__file__ = "/srv/made_up.py"
    assert places_of("made_up") == ["/srv/made_up.py"]
    made.__path__ = ["C:\\srv\\made_up"]
    assert places_of("made_up") == ["C:/srv/made_up/"]
