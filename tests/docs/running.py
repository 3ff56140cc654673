"""Runs the blocks of one page in order, and compares what they print with what the page shows."""

from __future__ import annotations

import ast
import contextlib
import io
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import django
from django.core.management import call_command

from example_site.scenarios import SCENARIOS
from example_site.scenarios.running import run
from tests.docs.output import same
from tests.docs.pages import Block
from tests.docs.project import Project

TRACE_ID = re.compile(r"^[0-9a-f]{8}\b", re.MULTILINE)
SETTING = re.compile(r"[A-Z][A-Z0-9_]+")


class Page:
    """
    ``folder``: where Python writes its files. ``project``, ``site`` and ``checkout`` are made when a block
    needs them. ``rewritten``: block to its true text, where the page has another one.
    """

    def __init__(
        self,
        folder: Path,
        project: Callable[[], Project],
        site: Callable[[], object],
        checkout: Callable[[], Project],
    ) -> None:
        self.folder = folder
        self._make_project = project
        self._make_site = site
        self._make_checkout = checkout
        self._checkout: Project | None = None
        self._project: Project | None = None
        self._module: ModuleType | None = None
        self.printed = ""
        self.ids: dict[str, str] = {}
        self.traces: dict[int, tuple[list[str], list[str]]] = {}
        self.rewritten: dict[Block, str] = {}

    @property
    def project(self) -> Project:
        if self._project is None:
            self._project = self._make_project()
        return self._project

    @property
    def checkout(self) -> Project:
        if self._checkout is None:
            self._checkout = self._make_checkout()
        return self._checkout

    def finish(self) -> None:
        if self._project is not None:
            self._project.check()

    def run(self, block: Block) -> None:
        if block.not_run or block.order == "served":
            return
        verb, _, rest = block.order.partition(" ")
        if verb == "from" and tuple(map(int, rest.split()[1].split("."))) > django.VERSION:
            return
        if verb in ("write", "append"):
            self.project.write(rest, block.text, append=verb == "append")
            self.project.unchecked |= rest.endswith("settings.py")
        elif verb in ("scenario", "output"):
            self.compare(block, self.printed if verb == "output" else self.of_scenario(*rest.split()))
        elif verb == "source":
            if block.text != (source := SCENARIOS[int(rest)].source + "\n"):
                self.rewritten[block] = source
        elif block.language == "get":
            path, *answer = block.text.strip().split("\n")
            self.project.check()
            assert self.project.get(path) == "\n".join(answer), block.place
        elif block.language == "console":
            project = self.checkout if verb == "site" else self.project
            self.console(block, project, exits=int(rest) if verb == "exits" else 0)
        elif block.language == "python":
            self.python(block, raises=rest if verb == "raises" else None)
        else:
            raise AssertionError(f"{block.place}: nobody knows how to run {block.language!r} {block.order!r}")

    def compare(self, block: Block, printed: str) -> None:
        shown = block.text
        if block.order.startswith("scenario ") and SCENARIOS[int(block.order.split()[1])].has_own_process:
            # Which replica is drawn in another process, nobody knows.
            shown, printed = (re.sub(r"replica\d", "replica1", text) for text in (shown, printed))
        if not same(shown, printed):
            self.rewritten[block] = printed.strip() + "\n"

    # Commands

    def console(self, block: Block, project: Project, *, exits: int) -> None:
        lines = block.text.splitlines()
        if not any(line.startswith("$ ") for line in lines):
            lines = [f"$ {line}" for line in lines]
        calls: list[tuple[str, list[str]]] = []
        for line in lines:
            if line.startswith("$ "):
                calls.append((line.removeprefix("$ "), []))
            elif calls[-1][0].endswith("\\"):
                calls[-1] = (f"{calls[-1][0]}\n{line}", [])
            else:
                calls[-1][1].append(line)
        shown, differs = [], False
        for number, (command, expected) in enumerate(calls, 1):
            project.check()
            code, printed = project.run(self.with_real_ids(command.partition("  #")[0].strip()))
            assert code == (exits if number == len(calls) else 0), (
                f"{block.place}: {command}: {code}\n{printed}"
            )
            printed = self.with_shown_ids("\n".join(expected), printed)
            shown.append(f"$ {command}")
            if expected and not same("\n".join(expected), printed):
                differs = True
                shown.extend(printed.strip("\n").splitlines())
            else:
                shown.extend(expected)
        if differs:
            self.rewritten[block] = "\n".join(shown) + "\n"

    def with_real_ids(self, command: str) -> str:
        """The command, with the ids of the traces that this run has made."""
        for shown, real in self.ids.items():
            command = re.sub(rf"\b{shown[:4]}({shown[4:]})?\b", real, command)
        return command

    def with_shown_ids(self, expected: str, printed: str) -> str:
        """What was printed, with the ids that the page shows; a list of traces tells which is which."""
        shown, real = TRACE_ID.findall(expected), TRACE_ID.findall(printed)
        if len(shown) == len(real):
            self.ids = dict(zip(shown, real, strict=True)) | self.ids
        for one, other in self.ids.items():
            printed = printed.replace(other, one)
        return printed

    # Python

    def python(self, block: Block, *, raises: str | None) -> None:
        if is_settings(block.text):
            self.project.add_settings(block.text)
            return
        if self._module is None:
            self._make_site()
            self._module = ModuleType("documented")
            sys.modules["documented"] = self._module
        printed = io.StringIO()
        raised = None
        with contextlib.redirect_stdout(printed), contextlib.chdir(self.folder):
            try:
                exec(compile(block.text, block.place, "exec"), self._module.__dict__)
            except Exception as error:
                raised = type(error).__name__
                if raises is None:
                    raise
        assert raised == raises, block.place
        self.printed = printed.getvalue()

    # The example site

    def of_scenario(self, number: str, what: str = "trace", place: str = "1") -> str:
        scenario = SCENARIOS[int(number)]
        if scenario.number not in self.traces:
            self._make_site()
            random.seed(scenario.number)  # the router of the example draws a replica
            parts = run(scenario)
            assert [part.error for part in parts] == [None] * len(parts)
            self.traces[scenario.number] = (
                [line for part in parts for line in part.lines],
                [trace for part in parts for trace in part.traces],
            )
        lines, traces = self.traces[scenario.number]
        if what == "output":
            return "\n".join(lines)
        text = io.StringIO()
        call_command("dbroute", "show", traces[int(place) - 1], "--no-color", stdout=text)
        return text.getvalue()


def is_settings(text: str) -> bool:
    """Whether it is a piece of a settings module: all that it assigns are settings."""
    body = ast.parse(text).body
    targets = [
        target
        for node in body
        if isinstance(node, ast.Assign | ast.AugAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    return bool(targets) and all(
        isinstance(target, ast.Name) and SETTING.fullmatch(target.id) for target in targets
    )
