"""
Print the lowest versions that ``pyproject.toml`` promises, as constraints for pip.

    python -m tools.lowest              prints them
    python -m tools.lowest --installed  fails if other versions are installed

They are those of the package and of the extras for users. Needs nothing but Python.
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
EXTRAS = ("toolbar", "otlp")
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)>=(?P<version>[0-9.]+)")


def read_lowest_versions(project: dict[str, object]) -> dict[str, str]:
    """Return the version of each requirement, which has to be written as ``name>=version``."""
    extras = project["optional-dependencies"]
    assert isinstance(extras, dict)
    found = {}
    for requirement in [*project["dependencies"], *(each for extra in EXTRAS for each in extras[extra])]:
        match = REQUIREMENT.fullmatch(requirement)
        if match is None:
            raise ValueError(f"{requirement!r} promises no lowest version")
        found[match["name"]] = match["version"]
    return found


def parse_release(text: str) -> tuple[int, ...]:
    """Return the numbers of a release; ``5.2`` and ``5.2.0`` are equal."""
    numbers = [int(number) for number in text.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def main(arguments: list[str]) -> int:
    promised = read_lowest_versions(tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"])
    if arguments != ["--installed"]:
        sys.stdout.writelines(f"{name}=={number}\n" for name, number in promised.items())
        return 0
    others = {name: version(name) for name in promised}
    wrong = [
        name for name, number in promised.items() if parse_release(others[name]) != parse_release(number)
    ]
    for name in wrong:
        sys.stderr.write(f"{name} {others[name]} is installed, not {promised[name]}\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
