"""The distributions hold every template and static file, as real files, and nothing by accident."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

from tests.packaging.conftest import ROOT, built

PACKAGE = ROOT / "dbroute_panel"
HTMX = ROOT / "static/dbroute_panel/vendor/htmx"


def files_of_the_working_tree() -> dict[str, bytes]:
    """What the wheel must hold under ``dbroute_panel/``: name to content, links resolved by hand."""
    modules = (
        path
        for path in PACKAGE.rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and path.relative_to(PACKAGE).parts[0] not in {"docs", "static", "templates"}
    )
    pages = (
        path
        for folder in ("docs/findings", "static", "templates")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    )
    names = {path: path.relative_to(ROOT).as_posix() for path in modules}
    names |= {path: f"dbroute_panel/{path.relative_to(ROOT).as_posix()}" for path in pages}
    return {name: path.read_bytes() for path, name in names.items()}


@pytest.mark.parametrize("folder", ["docs", "static", "templates"])
def test_the_links_inside_the_package_are_relative_and_lead_to_the_top_level_folders(folder: str) -> None:
    link = PACKAGE / folder

    assert link.is_symlink()
    assert link.readlink() == Path("..", folder)
    assert link.resolve() == ROOT / folder


def test_the_vendored_htmx_is_the_one_that_it_says_it_is() -> None:
    listed = [line.split() for line in (HTMX / "SHA256SUMS").read_text().splitlines()]

    assert {name for _, name in listed} == {"LICENSE", "htmx.min.js"}
    for checksum, name in listed:
        assert hashlib.sha256((HTMX / name).read_bytes()).hexdigest() == checksum, name
    version = (HTMX / "README.md").read_text().splitlines()[0].removeprefix("# htmx ")
    assert f'this.version="{version}"' in (HTMX / "htmx.min.js").read_text()


@pytest.mark.slow
def test_the_wheel_holds_every_module_template_and_static_file(distributions: tuple[Path, Path]) -> None:
    _, wheel = distributions
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        packed = {name: archive.read(name) for name in names if ".dist-info/" not in name}

    assert len(names) == len(set(names))
    expected = files_of_the_working_tree()
    assert sorted(packed) == sorted(expected)
    assert packed == expected
    assert "dbroute_panel/py.typed" in packed
    for language in ("de", "fr"):
        catalogue = f"dbroute_panel/locale/{language}/LC_MESSAGES/django"
        assert {f"{catalogue}.po", f"{catalogue}.mo"} <= set(packed)
    assert "dbroute_panel/docs/findings/stale-read.md" in packed
    assert "dbroute_panel/static/dbroute_panel/vendor/htmx/LICENSE" in packed


@pytest.mark.slow
def test_neither_distribution_holds_a_link(distributions: tuple[Path, Path]) -> None:
    sdist, wheel = distributions
    with tarfile.open(sdist) as archive:
        assert [member.name for member in archive if not member.isfile() and not member.isdir()] == []
    with zipfile.ZipFile(wheel) as archive:
        kinds = {entry.filename: entry.external_attr >> 16 & 0o170000 for entry in archive.infolist()}
    assert {name for name, kind in kinds.items() if kind not in {0, 0o100000}} == set()


@pytest.mark.slow
def test_the_sdist_holds_what_is_needed_to_build_and_test_again(distributions: tuple[Path, Path]) -> None:
    sdist, _ = distributions
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}

    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "Makefile"} <= names
    assert {"CONTRIBUTING.md", "SECURITY.md", "noxfile.py", "biome.json"} <= names
    assert {
        "dbroute_panel/records.py",
        "example_site/settings.py",
        "tests/packaging/test_distributions.py",
    } <= names
    assert not {
        name
        for name in names
        if name.startswith(("dbroute_panel/static", "dbroute_panel/templates", "dbroute_panel/docs"))
    }
    assert not {name for name in names if name.startswith("example_site/data/") or "__pycache__" in name}


@pytest.mark.slow
def test_make_gives_the_sdist_the_links_that_a_checkout_has(
    distributions: tuple[Path, Path], clean_environment: dict[str, str], tmp_path: Path
) -> None:
    sdist, _ = distributions
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    (source / ".venv").mkdir()
    (source / ".venv/.made").touch()
    (source / ".venv/bin").mkdir()
    (source / ".venv/bin/python").symlink_to("/bin/true")
    subprocess.run(
        ["make", "--silent", ".venv/.installed-demo"], cwd=source, env=clean_environment, check=True
    )

    for folder in ("docs", "static", "templates"):
        assert (source / "dbroute_panel" / folder).readlink() == Path("..", folder)


@pytest.mark.slow
def test_two_builds_are_identical(
    distributions: tuple[Path, Path], clean_environment: dict[str, str], tmp_path: Path
) -> None:
    """Also a build of other times, in another folder: the second is made from what the first sdist holds."""
    sdist, wheel = distributions
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    for path in source.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    (source / "PKG-INFO").unlink()  # an sdist's own, which a checkout does not have
    for name in ("docs", "static", "templates"):  # the links, which an sdist does not have
        (source / "dbroute_panel" / name).symlink_to(Path("..", name))
    again = built(source, tmp_path / "dist", clean_environment)

    assert [hashlib.sha256(file.read_bytes()).hexdigest() for file in again] == [
        hashlib.sha256(file.read_bytes()).hexdigest() for file in (sdist, wheel)
    ]


@pytest.mark.slow
def test_the_metadata_says_what_is_needed(distributions: tuple[Path, Path]) -> None:
    _, wheel = distributions
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())

    assert metadata["Name"] == "dbroute-panel"
    assert metadata["Requires-Python"] == ">=3.11"
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    names = ["django", "msgspec", "platformdirs", "pygments", "sqlparse"]
    assert [line.partition(">=")[0] for line in required] == names
    assert {"toolbar", "otlp"} <= set(metadata.get_all("Provides-Extra", []))
