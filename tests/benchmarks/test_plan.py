from __future__ import annotations

import pytest

from tools.benchmarks import table
from tools.benchmarks.figures import FIGURES
from tools.benchmarks.measuring import Results, Series
from tools.benchmarks.plan import LONG, QUICK, Plan
from tools.benchmarks.variants import SIDE_BY_SIDE, VARIANTS


class Asked(Results):
    """Has whatever it is asked for, and remembers that."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Series:
        self.names.add(name.rpartition("/")[0])
        return Series((1.0,))


@pytest.mark.parametrize("plan", [LONG, QUICK])
def test_a_run_measures_all_that_the_tables_show_and_nothing_else(plan: Plan):
    measured = {name for _, _, steps in plan.others() for name, _, _ in steps}
    measured |= {f"requests/{variant.name}/{size}" for variant in SIDE_BY_SIDE for size in plan.sizes}

    asked = Asked()
    table.variants(asked, plan.sizes)
    table.figures(asked, FIGURES)

    assert asked.names == measured


def test_every_step_is_done_by_a_variant_that_there_is():
    assert {variant for variant, _, _ in LONG.others()} <= set(VARIANTS)
