"""
Run the tests in a random order: ``pytest -p tools.shuffle --shuffle=SEED``.

Modules are shuffled, and the classes and tests in them: what shares a fixture stays together.
"""

from __future__ import annotations

import random
from itertools import groupby

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shuffle", type=int, metavar="SEED", help="Run the tests in an order drawn with it.")


def pytest_report_header(config: pytest.Config) -> str | None:
    seed = config.getoption("shuffle")
    return None if seed is None else f"in an order of its own: --shuffle={seed}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Shuffle the tests. Each worker draws the same order: it depends only on the seed and the tests."""
    seed = config.getoption("shuffle")
    if seed is not None:
        items[:] = shuffle(items, random.Random(seed))


def shuffle(items: list[pytest.Item], drawn: random.Random) -> list[pytest.Item]:
    modules = [[*group] for _, group in groupby(items, lambda item: item.nodeid.partition("::")[0])]
    drawn.shuffle(modules)
    for module in modules:
        drawn.shuffle(module)
    return [item for module in modules for item in module]
