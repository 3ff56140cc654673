"""
Trace documents that somebody made up, with something hostile in every text of them, nested ones and keys too.

Each text has a number of its own, so that a test can say which ones a page has shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from dbroute_panel.records import (
    Action,
    Callsite,
    Database,
    DecidedBy,
    Finding,
    InstanceRef,
    Level,
    Outcome,
    Request,
    RouteKind,
    Step,
    Trace,
)
from tests.traces import a_decision, a_hook, a_query, a_trace, a_transaction, an_exception

# What the format allows only some values for, and so cannot be hostile.
FIXED = {
    "schema",
    "id",
    "kind",
    "started_at",
    "type",
    "action",
    "outcome",
    "decided_by",
    "route",
    "level",
    "ended",
}

Hostile = Callable[[int], str]


def markup(number: int) -> str:
    """Opens an element of its own, then ends whatever it may be in and opens more: some texts are cut."""
    return (
        f"\"'><xss{number} onxss{number}=1 style=color:red><img src=x onerror=xss{number}()>"
        "`--></title></textarea></script></style></svg></select></pre></template>]]>"
        f"<xss{number} onxss{number}=1><script>xss{number}()</script> {{{{ xss{number} }}}}"
    )


def javascript(number: int) -> str:
    """What must never be where a link goes."""
    return f"javascript:xss{number}()//"


def elsewhere(number: int) -> str:
    """A link to another site, without its scheme."""
    return f"//xss{number}.example/"


def attribute(number: int) -> str:
    """For an attribute whose double quotes are not escaped."""
    return f'x" onmouseover="xss{number}()" hx-on:load="xss{number}()" x="'


def quoted(number: int) -> str:
    """For an attribute whose single quotes are not escaped."""
    return f"x' onfocus='xss{number}()' autofocus x='"


def bare(number: int) -> str:
    """For an attribute that has no quotes."""
    return f"x onpointerover=xss{number}() style=color:red"


def escaped(number: int) -> str:
    """Becomes markup where somebody unescapes once too often."""
    once, twice = f"&lt;xss{number} onxss{number}=1&gt;&#60;xss{number}&#62;", f"&amp;lt;xss{number}&amp;gt;"
    return f"{once}{twice}\\u003cxss{number}\\u003e"


SHAPES: dict[str, Hostile] = {
    shape.__name__: shape for shape in (markup, javascript, elsewhere, attribute, quoted, bare, escaped)
}


def site(name: str) -> Callsite:
    return Callsite(
        file=f"file of {name}", line=1, function=f"function of {name}", template=(f"template of {name}", 2)
    )


def reference(name: str, alias: str) -> InstanceRef:
    return InstanceRef(
        model=f"model of {name}", pk=f"key of {name}", state_db=alias, adding=False, origin_id=1
    )


def innocent() -> dict[str, Any]:
    """A trace with a text in every place that a text can be in, each of them another."""
    steps = [
        Step(router="passing router", outcome=Outcome.PASSED),
        Step(router="answering router", outcome=Outcome.ANSWERED, answer="alias", source=site("method")),
        Step(router="raising router", outcome=Outcome.RAISED, error="a step's error", traceback="traceback"),
        Step(router="other router", outcome=Outcome.ANSWERED, answer={"type": "type of a step's answer"}),
    ]
    hints = {"instance": reference("hint", "alias"), "hint's name": "hint", "typed": {"type": "hint's type"}}
    decision = {
        "model": "decision's model",
        "steps": steps,
        "hints": hints,
        "answer": "alias",
        "callsite": site("decision"),
    }
    relating = {
        "action": Action.RELATION,
        "args": {"obj1": reference("one", "alias"), "obj2": reference("another", "primary")},
        "answer": True,
    }
    migrating = {
        "action": Action.MIGRATE,
        "args": {"db": "db", "app_label": "app's label", "model_name": "model's name"},
        "answer": False,
        "decided_by": DecidedBy.ALLOWED,
    }
    query = {
        "alias": "alias",
        "model": "query's model",
        "sql": "SELECT 'x' FROM t",
        "callsite": site("query"),
        "instance": reference("saved object", "alias"),
        "rowcount": None,
    }
    raised = {
        "callsite": site("exception"),
        "raised_at": msgspec.structs.replace(site("where it was raised"), template=None),
        "model": "exception's model",
        "using": "alias",
        "other": "other alias",
    }
    named = {"params": {"parameter's name": "named parameter"}, "error": "query's error", "sql": "sql"}
    document: Trace = a_trace(
        1,
        name="name",
        databases={
            "alias": Database(vendor="vendor", engine="engine", replica_of="primary"),
            "primary": Database(vendor="primary's vendor", engine="primary's engine", replica_of=None),
        },
        routers=["passing router", "answering router"],
        events=[
            a_decision(1, **decision),
            a_query(2, decision_id=1, **query | {"params": ["parameter"]}),
            a_query(3, decision_id=1, **query | named),
            a_query(4, **query | {"params": [["first of many"]], "many": True, "route": RouteKind.EXPLICIT}),
            a_query(5, **query | {"params": [{"many's": ["nested"]}], "many": True, "parent_id": 1}),
            a_query(6, **query | {"operation": "operation", "model": None, "params": None}),
            a_decision(7, **decision | relating),
            a_decision(8, **decision | migrating),
            a_decision(9, **decision | {"answer": None, "decided_by": DecidedBy.ERROR, "parent_id": 1}),
            a_decision(10, **decision | {"answer": {"type": "type of an answer"}}),
            msgspec.structs.replace(a_transaction(11, "alias"), callsite=site("transaction")),
            a_hook(12, "alias", function="function", callsite=site("function given")),
            an_exception(13, alias="alias", error="exception's class: message", **raised),
        ],
        findings=[
            Finding(code="stale-read", level=Level.WARNING, message="message", events=[1, 2]),
            Finding(code="project's code", level=Level.ERROR, message="project's message", events=[7]),
        ],
    )
    request = Request(method="method", path="path", view="view", status=200)
    return msgspec.structs.replace(document, request=request).to_dict()


def hostile(shape: Hostile, *, number: int = 1) -> tuple[dict[str, Any], dict[str, int]]:
    """The document, and which number each of its texts has; ``number`` makes its id."""
    numbers: dict[str, int] = {}

    def text(given: str) -> str:
        return shape(numbers.setdefault(given, len(numbers) + 1))

    def walk(value: Any, place: str) -> Any:
        if isinstance(value, list):
            return [walk(entry, f"{place}.{index}") for index, entry in enumerate(value)]
        if isinstance(value, dict):
            return {
                text(key) if free(place) else key: walk(entry, f"{place}.{key}")
                for key, entry in value.items()
            }
        return text(value) if isinstance(value, str) and not fixed(place) else value

    document = walk(innocent(), "")
    document["id"] = f"{number:032x}"
    return document, numbers


def free(place: str) -> bool:
    """Whether the keys of the object at this place are the writer's own."""
    return place == ".databases" or place.endswith((".hints", ".params")) or ".params." in place


def fixed(place: str) -> bool:
    """Whether the format allows only some texts at this place."""
    name = place.rpartition(".")[2]
    if name == "type":  # of an event; that of a hint or an answer may be anything
        return place.count(".") == 3
    if name == "operation":  # of a transaction; that of a query may be anything
        return place.startswith(".events.10.")
    return name in FIXED
