"""A trace without the data in it; importable and replayable all the same."""

from __future__ import annotations

import pytest
from django.utils.translation import override
from msgspec.structs import replace

from dbroute_panel import findings
from dbroute_panel.inspection.replay import replay
from dbroute_panel.records import (
    Action,
    Database,
    DecidedBy,
    Finding,
    InstanceRef,
    Level,
    Outcome,
    Request,
    RouteKind,
    Step,
    TypeRef,
    dumps,
    loads,
)
from dbroute_panel.redaction import redact_trace
from example_site.scenarios import SCENARIOS
from example_site.scenarios.running import run
from tests.traces import a_decision, a_finding, a_query, a_trace

SECRET = "s3cret"


def a_request(path, view="library.views.book"):
    return Request(method="GET", path=path, view=view, status=200)


def test_values_are_gone_and_the_rest_stays():
    book = InstanceRef(model="library.Book", pk="4711", state_db="replica1", adding=False, origin_id=1)
    trace = a_trace(
        1,
        events=[
            a_decision(
                1,
                hints={
                    "instance": book,
                    "text": SECRET,
                    "number": 4711,
                    "flag": True,
                    "nothing": None,
                    "typed": TypeRef(type="a.B"),
                },
                steps=[
                    Step(
                        router="r.R", outcome=Outcome.RAISED, error=f"ValueError: {SECRET}", traceback=SECRET
                    )
                ],
                decided_by=DecidedBy.ERROR,
            ),
            a_query(
                2,
                sql=f"SELECT '{SECRET}'",
                params=[SECRET],
                instance=book,
                error=f"django.db.utils.IntegrityError: {SECRET}",
            ),
            a_decision(3, action=Action.RELATION, args={"obj1": book, "obj2": book}, hints={}),
            a_decision(
                4, action=Action.MIGRATE, args={"db": "primary", "app_label": "library", "model_name": "book"}
            ),
        ],
    )
    left = redact_trace(trace)
    decision, query, relation, migration = left.events
    assert decision.hints == {
        "instance": InstanceRef(
            model="library.Book", pk="***", state_db="replica1", adding=False, origin_id=1
        ),
        "text": "***",
        "number": "***",
        "flag": "***",
        "nothing": None,
        "typed": TypeRef(type="a.B"),
    }
    assert (decision.steps[0].error, decision.steps[0].traceback) == ("ValueError", None)
    assert (query.sql, query.params, query.instance.pk) == ("SELECT ?", None, "***")
    assert query.error == "django.db.utils.IntegrityError"
    assert relation.args["obj1"].pk == relation.args["obj2"].pk == "***"
    assert migration.args == {"db": "primary", "app_label": "library", "model_name": "book"}
    document = dumps(left)
    assert SECRET.encode() not in document
    assert b"4711" not in document
    assert loads(document) == left
    assert redact_trace(left) == left


def test_an_object_without_a_key_keeps_none():
    new = InstanceRef(model="library.Book", pk=None, state_db=None, adding=True)
    left = redact_trace(a_trace(1, events=[a_decision(1, hints={"instance": new})]))
    assert left.events[0].hints == {"instance": new}


def test_what_a_relation_was_asked_about_that_is_no_object_is_masked_like_a_hint():
    typed = TypeRef(type="a.B")
    for args, shown in (
        ({"obj1": SECRET, "obj2": 5}, {"obj1": "***", "obj2": "***"}),
        ({"obj1": None, "obj2": typed}, {"obj1": None, "obj2": typed}),
    ):
        left = redact_trace(a_trace(1, events=[a_decision(1, action=Action.RELATION, args=args, hints={})]))
        assert left.events[0].args == shown
        assert redact_trace(left) == left


@pytest.mark.parametrize(("code", "kept"), [("25006", "25006"), (1290, 1290), (SECRET, None), (None, None)])
def test_the_code_of_an_error_stays(code, kept):
    trace = a_trace(1, events=[a_query(1, error="OperationalError: x", error_code=code)])
    assert redact_trace(trace).events[0].error_code == kept


@pytest.mark.parametrize("error", [f"{SECRET} happened", f"no such {SECRET}: x", "", None])
def test_an_error_that_has_no_class_has_no_text(error):
    left = redact_trace(a_trace(1, events=[a_query(1, error=error)])).events[0].error
    assert left in ("***", "", None)


class TestThePath:
    @pytest.mark.parametrize(
        ("path", "view", "route"),
        [
            ("/books/4711/", "example_site.library.views.book", "books/<int:pk>/"),
            ("/books/4711", None, "books/<int:pk>/"),
            ("/books/4711/", "somebody.elses.view", "(no route)"),
            ("/books/4711/", None, "(no route)"),
            ("/s3cret/", None, "(no route)"),
            ("books/<int:pk>/", "example_site.library.views.book", "books/<int:pk>/"),
            ("(no route)", None, "(no route)"),
        ],
    )
    def test_it_is_the_route_that_was_taken(self, site, path, view, route):
        left = redact_trace(a_trace(1, request=a_request(path, view), name=path))
        assert (left.request.path, left.name) == (route, route)

    def test_without_a_request_the_name_is_the_kind(self):
        left = redact_trace(a_trace(1, request=None, kind="command", name=f"send --to {SECRET}"))
        assert (left.name, left.request) == ("command", None)

    def test_a_script_prefix_is_no_part_of_the_route(self, site):
        from django.urls import get_script_prefix, set_script_prefix

        before = get_script_prefix()
        set_script_prefix("/shop/")
        try:
            request = a_request("/shop/books/1/", "example_site.library.views.book")
            assert redact_trace(a_trace(1, request=request)).request.path == "books/<int:pk>/"
        finally:
            set_script_prefix(before)


class TestFindings:
    @pytest.fixture(autouse=True)
    def _none_of_the_project(self, settings):
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"FINDINGS": []}

    def test_messages_are_made_without_keys(self):
        saved = InstanceRef(model="library.Book", pk="4711", state_db="replica1", adding=False)
        query = a_query(
            1,
            alias="replica1",
            writes=True,
            operation="UPDATE",
            sql='UPDATE "library_book" SET a = 1',
            instance=saved,
        )
        trace = a_trace(1, events=[query])
        trace = a_trace(1, events=[query], findings=findings.find(trace))
        (found,) = [one for one in trace.findings if one.code == "write-to-replica"]
        assert "4711" in found.message
        left = redact_trace(trace)
        (same,) = [one for one in left.findings if one.code == "write-to-replica"]
        assert same.message == found.message.replace(" #4711", "")
        assert (same.level, same.events) == (found.level, found.events)
        assert redact_trace(left) == left

    def test_a_missing_table_is_still_named_and_nothing_else_of_the_error(self):
        error = f"django.db.utils.OperationalError: no such table: library_book; {SECRET}"
        query = a_query(
            1, sql='SELECT "a"."b" FROM "library_book" "a"', error=error.partition(";")[0], error_code=1
        )
        trace = a_trace(1, events=[query])
        trace = a_trace(1, events=[query], findings=findings.find(trace))
        assert [one.code for one in trace.findings] == ["missing-table"]
        left = redact_trace(trace)
        assert "library_book" in left.findings[0].message
        odd = a_trace(
            1, events=[a_query(1, sql="SELECT 1", error=error, error_code=1)], findings=trace.findings
        )
        assert SECRET not in redact_trace(odd).findings[0].message

    def test_one_that_is_not_known_here_keeps_all_but_its_message(self):
        left = redact_trace(a_trace(1, findings=[a_finding("of-another-project", 2)]))
        assert left.findings == [
            Finding(
                code="of-another-project",
                level=Level.WARNING,
                message="What this finding says was left out of the redacted trace.",
                events=[2],
            )
        ]

    def test_what_is_left_out_is_the_same_in_every_language(self):
        trace = a_trace(1, findings=[a_finding("of-another-project", 2)])
        with override("de"):
            assert redact_trace(trace) == redact_trace(redact_trace(trace))
            in_german = redact_trace(trace)
        assert in_german == redact_trace(trace)

    def test_the_project_s_own_functions_see_no_value(self, settings):
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"FINDINGS": ["tests.redaction.own.talkative"]}
        trace = a_trace(
            1,
            events=[a_query(2, sql=f"SELECT '{SECRET}'", params=[SECRET], error=f"IntegrityError: {SECRET}")],
        )
        found = findings.find(trace)
        assert SECRET in found[0].message
        left = redact_trace(a_trace(1, events=trace.events, findings=found))
        assert [one.code for one in left.findings] == ["talkative"]
        assert SECRET not in left.findings[0].message
        assert "SELECT ?" in left.findings[0].message

    def test_equal_values_are_found_to_be_equal(self):
        events = [
            a_query(n, alias, params=[SECRET], route=RouteKind.EXPLICIT)
            for n, alias in ((1, "primary"), (2, "archive"))
        ]
        trace = a_trace(1, events=events)
        found = findings.find(trace)
        assert "same-query-elsewhere" in {one.code for one in found}
        left = redact_trace(a_trace(1, events=events, findings=found))
        assert not [one for one in left.findings if "left out" in one.message]


class TestOnceMore:
    """Nothing changes where a redacted trace is redacted, even of what is found by values."""

    @pytest.fixture(autouse=True)
    def _none_of_the_project(self, settings):
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"FINDINGS": []}

    def of(self, code, events, vendor="sqlite"):
        databases = {
            alias: Database(vendor=vendor, engine="e", replica_of=None) for alias in ("primary", "archive")
        }
        trace = a_trace(1, events=events, databases=databases)
        (found,) = [one for one in findings.find(trace) if one.code == code]
        trace = replace(trace, findings=[found])
        left = redact_trace(trace)
        assert redact_trace(left) == left
        return found, left

    def same_query(self, *sent):
        return self.of(
            "same-query-elsewhere",
            [
                a_query(n, alias, params=[value], route=RouteKind.EXPLICIT)
                for n, (alias, value) in enumerate(sent, 1)
            ],
        )

    def test_the_same_query_elsewhere(self):
        found, left = self.same_query(("primary", SECRET), ("archive", SECRET), ("primary", "other"))
        assert left.findings == [found]

    def test_the_same_query_with_several_parameters(self):
        found, left = self.same_query(*((alias, n) for n in range(3) for alias in ("primary", "archive")))
        assert "with 3 sets of parameters" in found.message
        assert left.findings == [found]

    def test_more_queries_than_a_finding_names(self):
        found, left = self.same_query(*((alias, n) for alias in ("primary", "archive") for n in range(60)))
        assert (len(found.events), "with 60 sets" in found.message) == (50, True)
        assert left.findings == [found]

    @pytest.mark.parametrize(
        ("vendor", "code", "error", "named"),
        [
            ("sqlite", 1, "no such table: main.library_book", "The table library_book is"),
            ("sqlite", 1, "no such table: Library_Book", "The table Library_Book is"),
            ("sqlite", 1, "no such table: s3cret", "A table is"),  # that of a view
            (
                "postgresql",
                "42P01",
                'relation "library_book" does not exist\nLINE 1: s3cret',
                "The table library_book is",
            ),
            ("postgresql", "42P01", "Relation »library_book« existiert nicht", "The table library_book is"),
            ("postgresql", "42P01", 'relation "s3cret" does not exist', "A table is"),
            (
                "mysql",
                1146,
                "(1146, \"Table 's3cret.library_book' doesn't exist\")",
                "The table library_book is",
            ),
            ("mysql", 1146, "(1146, \"Table 's3cret.s3cret' doesn't exist\")", "A table is"),
            ("oracle", 942, "ORA-00942: table or view does not exist", "The table library_book is"),
        ],
    )
    def test_a_missing_table(self, vendor, code, error, named):
        quote = "`" if vendor == "mysql" else '"'
        query = a_query(
            1,
            "archive",
            sql='SELECT "a"."b" FROM "library_book" "a" WHERE "a"."b" = %s'.replace('"', quote),
            error=f"django.db.utils.OperationalError: {error}",
            error_code=code,
        )
        if vendor == "oracle":
            query = replace(query, sql=query.sql.upper().replace("%S", "%s"))
        _, left = self.of("missing-table", [query], vendor)
        assert left.findings[0].message.startswith(f"{named} not on archive")

    @pytest.mark.parametrize("vendor", ["sqlite", "postgresql", "mysql", "oracle"])
    def test_a_missing_table_in_an_old_document_that_has_no_codes(self, vendor):
        sql = "SELECT 1 FROM library_book"
        query = a_query(1, "archive", sql=sql, error="ProgrammingError: library_book, in whatever words")
        found, _ = self.of("missing-table", [replace(query, error_code="42P01")], vendor)
        database = Database(vendor=vendor, engine="e", replica_of=None)
        left = redact_trace(a_trace(1, events=[query], databases={"archive": database}, findings=[found]))
        assert left.findings == [found]
        assert redact_trace(left) == left

    @pytest.mark.parametrize("code", ["25006", 1146, 1])
    def test_not_of_a_query_whose_code_says_something_else(self, code):
        query = a_query(1, "archive", error="ProgrammingError: library_book", error_code="42P01")
        _, left = self.of("missing-table", [query], "postgresql")
        other = replace(left, events=[replace(left.events[0], error_code=code)])
        assert "left out" in redact_trace(other).findings[0].message

    def test_objects_with_different_keys(self):
        events = [
            a_query(
                n,
                "archive",
                sql='UPDATE "library_book" SET "a" = %s',
                operation="UPDATE",
                writes=True,
                route=RouteKind.EXPLICIT,
                instance=InstanceRef(model="library.Book", pk=key, state_db="primary", adding=False),
            )
            for n, key in enumerate(("1", "2"), 1)
        ]
        trace = a_trace(1, events=events)
        trace = replace(trace, findings=[one for one in findings.find(trace) if one.code == "pk-overwrite"])
        left = redact_trace(trace)
        assert [one.events for one in left.findings] == [[1], [2]]
        assert all(one.message.startswith("library.Book from primary was saved") for one in left.findings)
        assert redact_trace(left) == left

    def test_questions_about_different_objects(self):
        def asked(n, key, answer):
            book = InstanceRef(model="library.Book", pk=key, state_db=None, adding=False)
            return a_decision(n, hints={"instance": book}, answer=answer)

        events = [
            asked(1, "1", "primary"),
            asked(2, "2", "primary"),
            asked(3, "1", "archive"),
            asked(4, "2", "primary"),
        ]
        found, left = self.of("random-route", events)
        assert found.events == [1, 3]
        assert left.findings == [found]

    def test_what_a_function_of_the_project_says_of_values(self, settings):
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"FINDINGS": ["tests.redaction.own.talkative"]}
        self.of("talkative", [a_query(1, "primary", params=["a", SECRET], error=f"ValueError: {SECRET}")])

    def test_what_a_function_of_the_project_finds_by_values(self, settings):
        settings.DBROUTE_PANEL = settings.DBROUTE_PANEL | {"FINDINGS": ["tests.redaction.own.asked_twice"]}
        found, left = self.of("asked-twice", [a_query(n, "primary", params=[SECRET]) for n in (1, 2)])
        assert left.findings == [found]

    @pytest.mark.parametrize(
        ("code", "message", "forged"),
        [
            ("same-query-elsewhere", "library.Book", SECRET),
            ("same-query-elsewhere", "archive. If", f"archive, with {SECRET} sets of parameters. If"),
            ("same-query-elsewhere", "archive. If", "archive, with 1 sets of parameters. If"),
            ("same-query-elsewhere", "archive. If", "archive, with 4711 sets of parameters. If"),
            ("same-query-elsewhere", "nothing is wrong.", f"nothing is wrong. {SECRET}"),
            ("missing-table", "The table library_book", f"The table {SECRET}"),
            ("missing-table", "The table library_book", f"The table {SECRET}.library_book"),
            ("missing-table", "The table library_book", "The table s 3 c r e t"),
            ("missing-table", "The table library_book", "The table ibrary_boo"),
            ("missing-table", "The table library_book", "The table ***."),
            ("missing-table", "library.Book", SECRET),
        ],
    )
    def test_a_message_that_only_looks_like_one_is_left_out(self, code, message, forged):
        error = "django.db.utils.OperationalError: no such table: library_book"
        error = error if code == "missing-table" else None
        aliases = ("primary",) if error else ("primary", "archive", "primary")
        events = [
            a_query(n, alias, params=["1"], route=RouteKind.EXPLICIT, error=error, error_code=error and 1)
            for n, alias in enumerate(aliases, 1)
        ]
        found, left = self.of(code, events)
        assert left.findings == [found]
        assert message in found.message
        changed = replace(found, message=found.message.replace(message, forged))
        again = redact_trace(replace(left, findings=[changed]))
        assert "left out" in again.findings[0].message
        assert redact_trace(again) == again

    def test_nothing_is_said_of_events_that_do_not_prove_it(self):
        found, left = self.same_query(("primary", SECRET), ("archive", SECRET), ("primary", SECRET))
        for events in ([1], [1, 3], [], [99]):
            (other,) = redact_trace(replace(left, findings=[replace(found, events=events)])).findings
            assert "left out" in other.message


def test_a_redacted_scenario_is_replayed_like_the_trace_itself(site, store):
    (part,) = run(SCENARIOS[13])
    trace = store.get(part.traces[0])
    assert trace.decisions
    as_it_is, without = replay([trace]), replay([redact_trace(trace)])
    assert without.asked == as_it_is.asked > 0
    assert without.not_replayable == as_it_is.not_replayable
    assert (without.same, without.changed) == (as_it_is.same, as_it_is.changed)
