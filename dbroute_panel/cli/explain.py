"""``dbroute explain``: ask the routers one question, and show the chain of their answers."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from dbroute_panel.cli.console import Console, Piece, Styled
from dbroute_panel.cli.subcommand import Subcommand, UsageError, parse_integer, validate_choice
from dbroute_panel.inspection.arguments import ObjectSource, ObjectSpec
from dbroute_panel.inspection.explain import Answers, Question, ask
from dbroute_panel.presentation import Chain, ShortNames, build_chain, formatting
from dbroute_panel.presentation.formatting import full_place
from dbroute_panel.records import Action, DecidedBy, Decision, InstanceRef

ROLES = {"answered": "SUCCESS", "raised": "ERROR"}
SENTENCES = {
    Action.READ: gettext_lazy("%(model)s would be read from "),
    Action.WRITE: gettext_lazy("%(model)s would be written to "),
    Action.RELATION: gettext_lazy("A relation of %(model)s and %(other)s would be "),
    Action.MIGRATE: gettext_lazy("%(model)s on %(db)s: "),
}


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=_("library.Book; for allow_migrate also an app."))
    parser.add_argument("action", metavar="ACTION", help=", ".join(Action))
    parser.add_argument("--db", metavar="ALIAS", help=_("allow_migrate: the database it is asked about."))
    parser.add_argument("--model-name", metavar="NAME", help=_("allow_migrate: if not that of the model."))
    parser.add_argument(
        "--instance-db",
        metavar="ALIAS",
        help=_("Give the hint instance: an object said to come from this database. No query is made."),
    )
    parser.add_argument("--pk", metavar="PK", help=_("With --instance-db: the real row, read by one query."))
    parser.add_argument("--with", metavar="MODEL", help=_("allow_relation: the model of the second object."))
    parser.add_argument("--with-db", metavar="ALIAS", help=_("The database which that object comes from."))
    parser.add_argument(
        "--hint", metavar="K=JSON", action="append", default=[], help=_("Another hint; can be repeated.")
    )
    parser.add_argument("--repeat", metavar="N", default=1, help=_("Ask 1 to 1000 times, count the answers."))


def run(console: Console, options: dict[str, Any]) -> None:
    validate_choice(options["action"], [action.value for action in Action], _("question"))
    question = build_question(options)
    answers = ask(question)
    if options["format"] == "json":
        console.print_json(build_json(answers, question.repeat))
    else:
        show(console, question, answers)


def build_question(options: dict[str, Any]) -> Question:
    """Build the question of the options. Raises ``UsageError``."""
    relation = options["action"] == Action.RELATION
    if options["pk"] is not None and options["instance_db"] is None:
        raise UsageError(_("--pk needs --instance-db: the database that has the row."))
    if options["with_db"] is not None and options["with"] is None:
        raise UsageError(_("--with-db needs --with: the model of the second object."))
    if relation and options["with"] is None:
        raise UsageError(_("allow_relation is asked about two objects: give --with MODEL."))
    if options["with"] is not None and not relation:
        raise UsageError(
            _("--with belongs to allow_relation, not to %(action)s.") % {"action": options["action"]}
        )
    if options["action"] == Action.MIGRATE and options["db"] is None:
        raise UsageError(_("allow_migrate is asked about a database: give --db ALIAS."))
    return Question(
        model=options["model"],
        action=options["action"],
        db=options["db"],
        model_name=options["model_name"],
        instance=build_object_spec(options["instance_db"], options["pk"], needed=relation),
        other_model=options["with"],
        other=build_object_spec(options["with_db"], None, needed=relation),
        hints=parse_hints(options["hint"]),
        repeat=parse_integer(options["repeat"], "--repeat", least=1),
    )


def build_object_spec(alias: str | None, pk: str | None, *, needed: bool) -> ObjectSpec:
    """Build the object of a hint: a new one if it is ``needed`` and no database was named."""
    if alias is None:
        return ObjectSpec(ObjectSource.NEW if needed else ObjectSource.NONE)
    return (
        ObjectSpec(ObjectSource.FROM, alias) if pk is None else ObjectSpec(ObjectSource.ROW, alias, str(pk))
    )


def parse_hints(given: list[str]) -> dict[str, Any]:
    """Parse the values of ``--hint K=JSON``. Raises ``UsageError``."""
    found: dict[str, Any] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name.isidentifier():
            raise UsageError(
                _("--hint %(text)s: give a name and a value, such as %(example)s.")
                % {"text": text, "example": "--hint tenant='\"acme\"'"}
            )
        if name in found:
            raise UsageError(_("--hint %(name)s was given twice.") % {"name": name})
        try:
            found[name] = json.loads(value)
        except (ValueError, RecursionError):
            raise UsageError(
                _("--hint %(text)s: the value is no JSON. Text is put in double quotes: %(example)s.")
                % {"text": text, "example": f"--hint {name}='\"acme\"'"}
            ) from None
    return found


def build_json(answers: Answers, repeat: int) -> Any:
    decision = msgspec.to_builtins(answers.decision)
    if repeat == 1:
        return decision
    shares = [{"answer": share.answer, "count": share.count} for share in answers.counts]
    return {"decision": decision, "answers": msgspec.to_builtins(shares)}


def show(console: Console, question: Question, answers: Answers) -> None:
    decision = answers.decision
    chain = build_chain(decision, ShortNames([step.router for step in decision.steps]))
    console.print(
        format_sentence(question, decision),
        Styled(formatting.outcome(decision), get_outcome_role(decision)),
        ".",
    )
    console.print(chain.decided_by)
    if chain.steps:
        console.print()
        console.print_table(build_chain_rows(chain), right=[3], flexible=[2], indent="  ")
    for name, value in {**(decision.args or {}), **decision.hints}.items():
        if name not in ("db", "app_label"):  # the sentence has them
            bound = f", _state.db = {value.state_db}" if isinstance(value, InstanceRef) else ""
            console.print(f"{name} = {formatting.value(value)}{bound}")
    for step in chain.steps:
        if step.traceback:
            console.print()
            console.print_lines(step.traceback)
    if question.repeat > 1:
        console.print()
        console.print(_("Asked %(count)d times:") % {"count": question.repeat})
        rows: list[list[Piece]] = [
            [
                Styled(formatting.answer(share.answer), "ERROR" if share.raised else "SUCCESS"),
                str(share.count),
                f"{100 * share.count / question.repeat:.1f}%",
            ]
            for share in answers.counts
        ]
        console.print_table(rows, right=[1, 2], indent="  ")


def format_sentence(question: Question, decision: Decision) -> str:
    if decision.decided_by is DecidedBy.ERROR:
        return f"{formatting.question(decision)}: "
    names = {"model": decision.model or question.model, "other": question.other_model, "db": question.db}
    arguments = decision.args or {}
    if decision.action is Action.RELATION:
        names |= {
            "model": formatting.value(arguments.get("obj1")),
            "other": formatting.value(arguments.get("obj2")),
        }
    return str(SENTENCES[decision.action]) % names


def get_outcome_role(decision: Decision) -> str:
    """Return green for a database and for yes, yellow for no, red for an error."""
    if decision.decided_by is DecidedBy.ERROR:
        return "ERROR"
    return "SUCCESS" if decision.answer else "WARNING"


def build_chain_rows(chain: Chain) -> list[list[Piece]]:
    """Return a row for each router: name, outcome, answer or error, time, line."""
    return [
        [
            step.router,
            Styled(step.label, ROLES[step.outcome]) if step.outcome in ROLES else step.label,
            Styled(step.error, "ERROR") if step.error else Styled(step.answer, "SUCCESS"),
            "" if step.duration_us is None else f"{step.duration_us:,.1f} us",
            full_place(step.source) if step.source else "",
        ]
        for step in chain.steps
    ]


SUBCOMMAND = Subcommand(
    name="explain",
    help=gettext_lazy("Ask the routers one question: who says what, and what settles it."),
    arguments=add_arguments,
    run=run,
    formats=("text", "json"),
)
