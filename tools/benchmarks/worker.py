"""
A process that is one variant: it does what is asked of it on its standard input, one JSON object a line.

``{"work": "requests.round_of", ...}`` calls that function of ``tools.benchmarks.work`` with the rest; the
answer is what it returns, also on one line. It ends with its input.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path

from tools.benchmarks.project.configured import configure
from tools.benchmarks.variants import VARIANTS


def main(name: str, folder: str) -> None:
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever else is printed is no answer
    configure(VARIANTS[name], Path(folder))
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        arguments = json.loads(line)
        module, function = arguments.pop("work").split(".")
        work = getattr(import_module(f"tools.benchmarks.work.{module}"), function)
        print(json.dumps(work(**arguments)), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
