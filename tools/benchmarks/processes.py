"""Start the processes of the variants and talk to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self


class Process:
    """One variant at work (``tools.benchmarks.worker``), with its folder."""

    def __init__(self, variant: str, folder: Path, seed: int = 0) -> None:
        self.variant = variant
        own = tempfile.mkdtemp(prefix=f"{variant}-", dir=folder)
        # Layouts of dicts and sets that differ by chance differ by some percent: all processes have the same.
        environment = os.environ | {"PYTHONHASHSEED": str(seed)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tools.benchmarks.worker", variant, own],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def started(self) -> Self:
        """Wait until the process is ready."""
        self._answer()
        return self

    def do(self, work: str, **arguments: object) -> dict[str, float]:
        """Run some work in the process and return its figures; raise ``RuntimeError`` if it has died."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"work": work, **arguments}) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, float]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"The process of the variant {self.variant!r} ended: {self.process.wait()}.")
        answer: dict[str, float] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
