"""Assertions about the databases that a test used. A failure lists the queries, with reason and callsite."""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from dbroute_panel import findings
from dbroute_panel.conf import panel_settings
from dbroute_panel.inspection.arguments import AskError, find_alias
from dbroute_panel.inspection.map import build_map, load_map
from dbroute_panel.inspection.map_diff import diff_maps
from dbroute_panel.presentation import ShortNames, formatting
from dbroute_panel.presentation.explain_text import summarize_query
from dbroute_panel.presentation.rows import summarize_statement
from dbroute_panel.recording import trace
from dbroute_panel.recording.recorder import use_recorder
from dbroute_panel.records import Decision, Finding, Level, Query
from dbroute_panel.suggestions import did_you_mean

MAX_LINES: Final = 30
"""Maximum queries, or lines of a difference, in the message of a failure."""


class RouteTrace(trace):
    """
    The trace of a test's body. ``root``: the folder that the path of a map is relative to.

    It is never stored. It does not contain what other threads do, such as those of a live server.
    """

    def __init__(self, name: str, *, root: Path) -> None:
        super().__init__(name, keep=False)
        self.root = root

    @contextmanager
    def wrap_async_body(self, item: Any) -> Iterator[None]:
        """
        Wrap the body of an async test so that it is recorded in the context of any runner.

        anyio runs tests in a task that may be older than the trace, and does not have its context.
        """
        body = getattr(item, "obj", None)
        if not inspect.iscoroutinefunction(body):
            yield
            return

        @functools.wraps(body)
        async def recorded(*args: Any, **kwargs: Any) -> Any:
            with use_recorder(self._get_recorder()):
                return await body(*args, **kwargs)

        item.obj = recorded
        try:
            yield
        finally:
            item.obj = body

    def assert_queries(self, alias: str, n: int) -> None:
        """Assert that the test has sent exactly ``n`` queries to ``alias`` so far."""
        __tracebackhide__ = True
        find_alias(alias)
        queries = self.queries
        dropped = self._get_recorder().dropped["query"]
        found = [query for query in queries if query.alias == alias]
        if len(found) == n and not dropped:
            return
        lines = [
            ngettext(
                "%(count)d query on %(alias)s, not %(n)d",
                "%(count)d queries on %(alias)s, not %(n)d",
                len(found),
            )
            % {"count": len(found), "alias": alias, "n": n}
        ]
        if dropped:
            lines.append(
                ngettext(
                    "%(count)d query was not kept, wherever it went: raise MAX_EVENTS.",
                    "%(count)d queries were not kept, wherever they went: raise MAX_EVENTS.",
                    dropped,
                )
                % {"count": dropped}
            )
        lines += self._format_queries(found)
        others = Counter(query.alias for query in queries if query.alias != alias)
        if others:
            counts = ", ".join(f"{other} {count}" for other, count in others.items())
            lines.append(_("On other databases: %(counts)s") % {"counts": counts})
        raise AssertionError("\n".join(lines))

    def assert_no_queries(self, alias: str) -> None:
        """Assert that the test has sent no query to ``alias`` so far."""
        __tracebackhide__ = True
        self.assert_queries(alias, 0)

    def assert_route_map(self, path: str | PathLike[str]) -> None:
        """
        Assert that the routing map equals the file that ``dbroute map --format json`` wrote.

        This asks the routers about all models, and makes no query.

        Args:
            path: The file, relative to pytest's root directory.
        """
        __tracebackhide__ = True
        file = self.root / path
        command = f"manage.py dbroute map --format json --output {path}"
        try:
            expected = load_map(file.read_bytes())
        except OSError as error:
            raise AssertionError(
                _("%(path)s cannot be read (%(error)s). Make it with: %(command)s")
                % {"path": path, "error": error.strerror, "command": command}
            ) from None
        except AskError as error:
            raise AssertionError(f"{path}: {error}") from None
        lines = diff_maps(expected, build_map())
        if not lines:
            return
        shown = [f"  {line}" for line in lines[:MAX_LINES]]
        if len(lines) > MAX_LINES:
            shown.append(_("  and %(count)d more") % {"count": len(lines) - MAX_LINES})
        raise AssertionError(
            "\n".join(
                [
                    _("The routing is not what %(path)s has:") % {"path": path},
                    *shown,
                    _("If it is right now, write it again: %(command)s") % {"command": command},
                ]
            )
        )

    def assert_no_findings(self, level: str = "warning") -> None:
        """Assert that nothing was found so far of ``level`` (``info``, ``warning``, ``error``) and above."""
        __tracebackhide__ = True
        try:
            limit = Level(level)
        except ValueError:
            names = [one.value for one in Level]
            raise AskError(
                _("No level %(level)r. %(hint)s") % {"level": level, "hint": did_you_mean(str(level), names)}
            ) from None
        found = [finding for finding in self.findings if finding.level.rank >= limit.rank]
        lost = sum(self._get_recorder().dropped.values())
        if not found and not lost:
            return
        lines = [
            ngettext(
                "%(count)d finding of level %(level)s or above",
                "%(count)d findings of level %(level)s or above",
                len(found),
            )
            % {"count": len(found), "level": limit}
        ]
        if lost:
            lines.append(
                ngettext(
                    "%(count)d event was not kept, so that findings may be missing: raise MAX_EVENTS.",
                    "%(count)d events were not kept, so that findings may be missing: raise MAX_EVENTS.",
                    lost,
                )
                % {"count": lost}
            )
        raise AssertionError("\n".join([*lines, *self._format_findings(found)]))

    def assert_finding(self, code: str) -> None:
        """Assert that the finding ``code`` was found at least once so far."""
        __tracebackhide__ = True
        found = self.findings
        if any(finding.code == code for finding in found):
            return
        own = panel_settings.FINDINGS
        if code not in findings.codes() and all(hasattr(function, "code") for function in own):
            hint = did_you_mean(code, findings.codes())
            raise AskError(_("No finding %(code)r. %(hint)s") % {"code": code, "hint": hint})
        lines = [_("%(code)s was not found.") % {"code": code}]
        if code in panel_settings.SILENCED_FINDINGS:
            lines.append(_("It is in SILENCED_FINDINGS."))
        lines.append(_("What was found:") if found else _("Nothing was found at all."))
        raise AssertionError("\n".join([*lines, *self._format_findings(found)]))

    def _format_findings(self, found: list[Finding]) -> Iterator[str]:
        """Yield a line for each finding, and below it its first queries."""
        for finding in found[:MAX_LINES]:
            yield f"  {finding.level} {finding.code}: {finding.message}"
            queries = [query for query in self.queries if query.id in finding.events]
            for line in self._format_queries(queries[:3]):
                yield f"    {line}"
        if len(found) > MAX_LINES:
            yield _("  and %(count)d more") % {"count": len(found) - MAX_LINES}

    def _format_queries(self, queries: list[Query]) -> Iterator[str]:
        """Yield two lines for each query: what, why and where; its SQL."""
        decisions: dict[int | None, Decision] = {decision.id: decision for decision in self.decisions}
        routers = ShortNames([step.router for decision in decisions.values() for step in decision.steps])
        for query in queries[:MAX_LINES]:
            decision = decisions.get(query.decision_id)
            parts = [summarize_statement(query), summarize_query(query, decision, routers)]
            if query.callsite is not None:
                parts.append(formatting.called_from(query.callsite))
            yield f"  #{query.id} " + " | ".join(parts)
            yield f"      {formatting.truncate(' '.join(query.sql.split()), 200)}"
        if len(queries) > MAX_LINES:
            yield _("  and %(count)d more") % {"count": len(queries) - MAX_LINES}
