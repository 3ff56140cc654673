from __future__ import annotations

import functools
import gc
import inspect
import types
import weakref
from pathlib import Path

import pytest
from django.db import router

from dbroute_panel import explain
from dbroute_panel.inspection.arguments import AskError
from dbroute_panel.inspection.explain import find_source
from dbroute_panel.recording.recorder import active
from dbroute_panel.recording.traces import trace
from dbroute_panel.records import Action, InstanceRef
from example_site import routers
from example_site.library.models import Book, Person, Tag
from example_site.notes.models import Note

HERE = "tests/inspection/test_explain.py"


class Fails:
    def db_for_read(self, model, **hints):
        raise LookupError(f"no shard for {model.__name__}")

    def db_for_write(self, model, **hints):
        raise SystemExit(4)

    def allow_relation(self, obj1, obj2, **hints):
        raise KeyboardInterrupt


@pytest.fixture
def ask(settings):
    """Makes these the project's routers."""

    def ask(*routers):
        settings.DATABASE_ROUTERS = list(routers)

    return ask


def outcomes(decision):
    return [step.outcome.value for step in decision.steps]


# Answers


def test_a_question_about_reading_has_the_whole_chain(site):
    decision = explain("library.Book", "db_for_read")
    assert (decision.id, decision.at_us, decision.parent_id) == (1, 0, None)
    assert (decision.action, decision.model) == ("db_for_read", "library.Book")
    assert outcomes(decision) == ["passed", "passed", "answered"]
    assert decision.answer in {"replica1", "replica2"}
    assert type(decision.answer) is str
    assert decision.decided_by == "router"
    assert decision.callsite.file == HERE


def test_each_step_has_the_source_of_its_method(site, ask):
    ask(routers.UserRouter(), object(), routers.PrimaryReplicaRouter())
    decision = explain(Book, "db_for_write")
    first, nothing, last = [step.source for step in decision.steps]
    start = inspect.getsourcelines(routers.UserRouter.db_for_write)[1]
    assert (first.file, first.line) == ("example_site/routers.py", start)
    assert (first.function, last.function) == (
        "UserRouter.db_for_write",
        "PrimaryReplicaRouter.db_for_write",
    )
    assert nothing is None
    assert all(step.traceback is None for step in decision.steps)


def test_the_instance_is_a_hint(site):
    book = Book.objects.using("archive").first()
    decision = explain("library.Book", "db_for_write", instance=book)
    assert decision.hints == {
        "instance": InstanceRef(model="library.Book", pk=str(book.pk), state_db="archive", adding=False)
    }
    assert decision.answer == "primary"
    note = Note.objects.using("archive").first()
    assert explain(Note, "db_for_write", instance=note).decided_by == "instance"
    assert explain(Note, "db_for_write").decided_by == "default"


def test_hints_are_passed_on_and_leave_the_callers_dict_alone(site):
    hints = {"shard": 3}
    decision = explain(Book, "db_for_read", instance=Book(), hints=hints)
    assert decision.hints["shard"] == 3
    assert hints == {"shard": 3}


def test_a_question_about_a_relation(site):
    book = Book.objects.using("primary").first()
    decision = explain("library.Book", "allow_relation", instance=book, other=book.author)
    assert (decision.answer, decision.router) == (True, "example_site.routers.PrimaryReplicaRouter")
    assert list(decision.args) == ["obj1", "obj2"]
    hinted = explain("library.Book", "allow_relation", instance=book, other=book.author, hints={"shard": 3})
    assert hinted.hints == {"shard": 3}
    refused = explain("library.Book", "allow_relation", instance=book, other=Note())
    assert (refused.answer, refused.decided_by) == (False, "same_database")


def test_a_question_about_migrating_a_model_an_app_or_an_operation(site):
    by_model = explain("library.Book", "allow_migrate", db="primary")
    assert by_model.args == {"db": "primary", "app_label": "library", "model_name": "book"}
    assert (by_model.model, by_model.answer) == ("library.Book", True)
    by_app = explain("library", "allow_migrate", db="replica1", hints={"flag": True})
    assert by_app.args == {"db": "replica1", "app_label": "library", "model_name": None}
    assert (by_app.model, by_app.answer, by_app.hints) == (None, False, {"flag": True})
    named = explain("library", "allow_migrate", db="primary", model_name="Old", hints={"model_name": "x"})
    assert named.args["model_name"] == "Old"
    assert explain(Book, "allow_migrate", db="primary", model_name="Other").args["model_name"] == "Other"


def test_an_exception_is_an_outcome_with_its_traceback(site, ask):
    ask(object(), Fails(), routers.AuthRouter())
    decision = explain(Book, "db_for_read")
    assert outcomes(decision) == ["no_method", "raised", "not_asked"]
    step = decision.steps[1]
    assert step.error == "LookupError: no shard for Book"
    assert step.traceback.startswith("Traceback (most recent call last):\n")
    assert 'raise LookupError(f"no shard for {model.__name__}")' in step.traceback
    assert step.traceback.endswith("\nLookupError: no shard for Book\n")
    assert "/django/" not in step.traceback
    assert "/dbroute_panel/recording" not in step.traceback
    assert [other.traceback for other in decision.steps[::2]] == [None, None]
    assert decision.steps[2].source.function == "AuthRouter.db_for_read"


def test_an_exit_is_an_outcome_but_an_interrupt_is_not(site, ask):
    ask(Fails())
    assert explain(Book, "db_for_write").steps[0].error == "SystemExit: 4"
    with pytest.raises(KeyboardInterrupt):
        explain(Book, "allow_relation", instance=Book(), other=Person())


def test_an_exception_of_djangos_own_still_has_a_traceback(site, ask):
    ask(type("Takes", (), {"db_for_read": lambda self: None})())
    decision = explain(Book, "db_for_read")
    assert decision.steps[0].error.startswith("TypeError:")
    assert decision.steps[0].traceback.rstrip().endswith(decision.steps[0].error)


def test_nested_questions_are_not_part_of_the_answer(site, ask):
    class Asks:
        def db_for_read(self, model, **hints):
            return router.db_for_write(model)

        def db_for_write(self, model, **hints):
            return "primary"

    ask(Asks())
    decision = explain(Book, "db_for_read")
    assert (decision.id, decision.action, decision.answer) == (1, "db_for_read", "primary")


# Its own place


def test_a_question_inside_of_a_trace_leaves_nothing_in_it(site):
    with trace("test", keep=False) as t:
        explain(Book, "db_for_read")
    assert t.events == []
    assert active.get() is None


def test_a_question_that_a_router_asks_has_no_parent(site, ask):
    asked = []

    class Explains:
        def db_for_read(self, model, **hints):
            if model is Book:
                asked.append(explain(Tag, "db_for_read"))
            return "primary"

    ask(Explains())
    assert explain(Book, "db_for_read").answer == "primary"
    assert asked[0].parent_id is None


def test_a_router_that_explains_goes_on_with_its_own_decision(site, ask):
    class Explains:
        def db_for_read(self, model, **hints):
            if model is Book:
                explain(Tag, "db_for_read")
                router.db_for_read(Person)
            return "primary"

    ask(Explains())
    with trace("test", keep=False) as t:
        router.db_for_read(Book)
    assert [(decision.model, decision.parent_id) for decision in t.decisions] == [
        ("library.Book", None),
        ("library.Person", 1),
    ]


def test_keys_are_told_even_where_traces_do_not_keep_them(site, settings):
    settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"RECORD_PARAMS": False}
    decision = explain(Book, "db_for_read", instance=Book(pk="x"))
    assert decision.hints["instance"].pk == "x"


def test_the_object_and_an_exception_are_not_kept_alive(site, ask):
    ask(Fails())
    gc.collect()
    gc.disable()
    try:
        book = Book(pk=1)
        alive = weakref.ref(book)
        explain(Book, "db_for_read", instance=book)
        del book
        assert alive() is None
    finally:
        gc.enable()


# Questions that make no sense


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        (("libary.Book", "db_for_read"), {}, "No model 'libary.Book'. Did you mean 'library.Book'?"),
        (("library", "db_for_read"), {}, "No model 'library'. Did you mean 'library.Tag'?"),
        ((None, "db_for_read"), {}, "Give a model class or its label, not None."),
        (("library.Book", "db_for_raed"), {}, "No question 'db_for_raed'. Did you mean 'db_for_read'?"),
        (("library.Book", "allow_migrate"), {}, "allow_migrate is asked about a database: give db."),
        (
            ("library.Book", "allow_migrate"),
            {"db": "primray"},
            "No database 'primray'. Did you mean 'primary'?",
        ),
        (("libary", "allow_migrate"), {"db": "primary"}, "No app 'libary'. Did you mean 'library'?"),
        (
            ("library.Book", "allow_migrate"),
            {"db": "primary", "instance": Book()},
            "allow_migrate is asked about a database, not about objects.",
        ),
        (
            ("library.Book", "allow_migrate"),
            {"db": "primary", "other": Book()},
            "allow_migrate is asked about a database, not about objects.",
        ),
        (
            ("library.Book", "db_for_read"),
            {"db": "primary"},
            "db and model_name belong to allow_migrate, not to db_for_read.",
        ),
        (
            ("library.Book", "db_for_read"),
            {"model_name": "book"},
            "db and model_name belong to allow_migrate, not to db_for_read.",
        ),
        (
            ("library.Book", "db_for_read"),
            {"other": Book()},
            "other belongs to allow_relation, not to db_for_read.",
        ),
        (
            ("library.Book", "allow_relation"),
            {"instance": Book()},
            "allow_relation is asked about two objects: give instance and other.",
        ),
        (
            ("library.Book", "allow_relation"),
            {"other": Book()},
            "allow_relation is asked about two objects: give instance and other.",
        ),
    ],
)
def test_a_question_that_makes_no_sense_is_told_what_is_wrong(site, args, kwargs, message):
    with pytest.raises(AskError) as caught:
        explain(*args, **kwargs)
    assert str(caught.value) == message


def test_a_hint_that_no_router_can_be_given(site):
    with pytest.raises(AskError, match=r"^The routers cannot be asked: ") as raised:
        explain("library.Book", "db_for_read", hints={"model": Book})
    assert isinstance(raised.value.__cause__, TypeError)


def test_the_tools_own_models_are_not_asked_about(site):
    from dbroute_panel.models import Trace

    with pytest.raises(AskError, match=r"^dbroute_panel\.Trace belongs to the tool, not to the project\.$"):
        explain(Trace, "db_for_read")
    with pytest.raises(AskError, match="No app 'dbroute_panel'"):
        explain("dbroute_panel", "allow_migrate", db="primary")


def test_an_answer_that_django_cannot_give(site, ask):
    ask(object())
    with pytest.raises(AskError, match=r"^No router raised, but Django cannot answer: AttributeError"):
        explain(Book, "db_for_read", instance=object())


# Sources


class Shapes:
    @staticmethod
    def db_for_read(model, **hints):
        """A static method."""

    @classmethod
    def db_for_write(cls, model, **hints):
        """A class method."""

    @property
    def allow_relation(self):
        pytest.fail("a property was run")

    @functools.cached_property
    def allow_migrate(self):
        pytest.fail("a cached property was run")


def decorated(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


@decorated
def answers(*args, **hints):
    return "primary"


def line_of(text):
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("shape", [Shapes, Shapes()])
def test_methods_of_every_shape_have_their_source_and_are_not_run(shape, action):
    source = find_source(shape, action)
    assert source.function == f"Shapes.{action}"
    assert source.file == HERE
    assert f"def {action}(" in "".join(
        Path(__file__).read_text().splitlines()[source.line - 1 : source.line + 1]
    )
    assert source.line > line_of("class Shapes:")


@pytest.mark.parametrize(
    "made",
    [
        answers,
        functools.partial(answers, "x"),
        staticmethod(answers),
        types.MethodType(answers, object()),
        staticmethod(functools.partial(answers, "x")),
    ],
)
def test_functions_behind_wrappers_are_found(made):
    source = find_source(types.SimpleNamespace(db_for_read=made), Action.READ)
    assert (source.function, source.line) == ("answers", line_of("@decorated"))


def test_a_module_has_its_functions():
    module = types.ModuleType("routing")
    module.db_for_read = answers
    assert find_source(module, Action.READ).function == "answers"


class Calls:
    def __call__(self, *args, **hints):
        return "primary"


def endless():
    """A function that wraps itself."""


endless.__wrapped__ = endless


@pytest.mark.parametrize("made", [Calls(), len, endless, 3, None])
def test_what_has_no_function_behind_it_has_no_source(made):
    assert find_source(types.SimpleNamespace(db_for_read=made), Action.READ) is None


def test_a_method_that_is_made_on_demand_has_no_source():
    class Demand:
        def __getattr__(self, name):
            pytest.fail("it was asked")

    assert find_source(Demand(), Action.READ) is None
