"""
One file that a colleague opens in any browser, without Django, network or JavaScript: a section a trace.

The rows are those of the trace's page, from the same templates, each with its detail in it. What the file
may load is nothing: its policy allows the one style in it, by hash.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from itertools import chain, islice
from typing import Final

from django.template import Context, Engine
from django.utils.safestring import SafeString
from django.utils.translation import get_language, get_language_bidi, gettext_lazy

from dbroute_panel.exports.base import Format
from dbroute_panel.presentation import Index, decided_in, timeline_of, totals_of
from dbroute_panel.records import Trace

from .lines import lines_of

_PACKAGE: Final = files("dbroute_panel")
_STYLES: Final = (
    "colours.css",
    "dbroute.css",
    "events.css",
    "detail.css",
    "timeline.css",
    "print.css",
    "file.css",
)


def write(traces: Iterable[Trace]) -> Iterator[bytes]:
    """The file, a trace at a time; holds two traces at most."""
    remaining = iter(traces)
    ahead = list(islice(remaining, 2))
    style = _style()
    yield _rendered(
        "file_head.html",
        style=style,
        hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        name=ahead[0].name if len(ahead) == 1 else "",
        empty=not ahead,
        language=get_language() or "en",
        direction="rtl" if get_language_bidi() else "ltr",
    )
    for number, trace in enumerate(chain(ahead, remaining), 1):
        yield _section(trace, number)
    yield b"</main></body></html>\n"


def _section(trace: Trace, number: int) -> bytes:
    """One trace. ``here`` begins the links to its events, and without the ``#`` their ids."""
    index = Index(trace)
    here = f"#t{number}-"
    return _rendered(
        "file_trace.html",
        trace=trace,
        here=here,
        totals=totals_of(trace, index.palette),
        decided=decided_in(index),
        timeline=timeline_of(trace, index.palette),
        lines=lines_of(index, here, _render),
    )


def _rendered(template: str, **context: object) -> bytes:
    return _render(template, context).encode()


def _render(template: str, context: dict[str, object]) -> SafeString:
    return _engine().get_template(f"dbroute_panel/{template}").render(Context(context))


@cache
def _engine() -> Engine:
    """An engine of our own: a project may have no Django templates, or other tags in its own."""
    return Engine(
        dirs=[str(_PACKAGE / "templates")],
        libraries={
            "dbroute": "dbroute_panel.templatetags.dbroute",
            "i18n": "django.templatetags.i18n",
            "l10n": "django.templatetags.l10n",
        },
    )


@cache
def _style() -> str:
    folder = _PACKAGE / "static" / "dbroute_panel"
    return "".join((folder / name).read_text(encoding="utf-8") for name in _STYLES)


FORMAT = Format(
    name="html",
    label="HTML",
    purpose=gettext_lazy("One page for a colleague, without Django and network"),
    content_type="text/html; charset=utf-8",
    extension="html",
    write=write,
)
