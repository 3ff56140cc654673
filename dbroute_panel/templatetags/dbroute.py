"""Write times (``{{ row.duration_us|duration }}``), link code and documents, and render partials once."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import datetime

from django import template
from django.template import Context
from django.template.loader import get_template
from django.utils import timezone
from django.utils.formats import date_format, number_format

from dbroute_panel import presentation
from dbroute_panel.presentation import Editor
from dbroute_panel.records import Callsite

register = template.Library()


@register.simple_tag(takes_context=True)
def render_once(context: Context, name: str, **arguments: Hashable) -> str:
    """
    The partial ``name`` with these arguments, made once for all rows that share the dict ``rendered``.

    A page has a hundred rows on two databases.
    """
    key = (name, *arguments.values())
    rendered: dict[Hashable, str] | None = context.get("rendered")
    if rendered is not None and key in rendered:
        return rendered[key]
    html = get_template(f"dbroute_panel/{name}").render(arguments)
    if rendered is not None:
        rendered[key] = html
    return html


@register.filter
def duration(microseconds: float | None) -> str:
    """``0.4 µs``, ``12 µs``, ``3.1 ms``, ``840 ms``, ``12.3 s``; nothing for None."""
    if microseconds is None:
        return ""
    for limit, unit, size in ((100, "µs", 1), (1_000_000, "ms", 1000)):
        if microseconds < limit:
            return _number(microseconds / size, unit)
    return _number(microseconds / 1_000_000, "s")


@register.filter
def parts(text: str) -> list[str]:
    """The parts of a text between which a line may end: each opening bracket is the end of one."""
    *heads, tail = text.split("(")
    return [*(f"{head}(" for head in heads), tail]


@register.filter
def at(microseconds: int) -> str:
    """Milliseconds from the start of the trace, with one decimal."""
    return _rounded(microseconds / 1000, 1)


@register.filter
def span(ends: tuple[int, int]) -> str:
    """``12.0–14.5 ms`` for two times in microseconds, with as many decimals as tell them apart."""
    first, last = ends
    decimals = next((n for n, width in ((1, 100), (2, 10)) if last - first >= width), 3)
    return f"{_rounded(first / 1000, decimals)}–{_rounded(last / 1000, decimals)}\N{NO-BREAK SPACE}ms"


@register.filter
def moment(started_at: str) -> str:
    """An RFC 3339 time in the current time zone, to the second; unchanged if it is none."""
    try:
        when = datetime.fromisoformat(started_at)
    except ValueError:
        return started_at
    if timezone.is_aware(when):
        when = timezone.localtime(when)
    return f"{date_format(when, 'SHORT_DATE_FORMAT')} {when:%H:%M:%S}"


@register.filter
def short_moment(started_at: str) -> str:
    """``moment`` for a list: today's without the day, all others without the seconds."""
    try:
        when = timezone.localtime(datetime.fromisoformat(started_at))
    except ValueError:  # no time, or one without a time zone
        return started_at
    if when.date() == timezone.localdate():
        return f"{when:%H:%M:%S}"
    return f"{date_format(when, 'SHORT_DATE_FORMAT')} {when:%H:%M}"


@register.filter
def editor_url(site: Callsite | None, editor: Editor | None) -> str:
    """The link that opens a line of code in ``editor``; "" without the one or the other."""
    return editor.url(site) if site is not None and isinstance(editor, Editor) else ""


@register.filter
def has_doc(code: str) -> bool:
    """Return whether the documentation has a page about this finding; not about a project's own."""
    return code in presentation.documented_codes()


def _number(value: float, unit: str) -> str:
    decimals = 1 if value < 10 or unit == "s" else 0
    return f"{_rounded(value, decimals)}\N{NO-BREAK SPACE}{unit}"


def _rounded(value: float, decimals: int) -> str:
    """Rounded first: Django's ``number_format()`` cuts off what is beyond its decimals."""
    return number_format(round(value, decimals), decimals)
