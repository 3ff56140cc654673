"""Two traces compared: what belongs together, in which way it differs, and that nothing else is said to."""

from __future__ import annotations

import pytest

from dbroute_panel.presentation import Index, build_comparison
from dbroute_panel.presentation.comparison import Difference
from dbroute_panel.presentation.matching import MatchKind, list_uses, match_uses
from dbroute_panel.records import (
    Action,
    Callsite,
    Database,
    DecidedBy,
    Dropped,
    InstanceRef,
    Level,
    Outcome,
    RouteKind,
    Step,
)
from tests.traces import a_decision, a_finding, a_long_trace, a_query, a_trace, a_transaction

OTHER_LINE = Callsite(file="library/views.py", line=99, function="save_book")
WRITE = {"sql": 'UPDATE "library_book" SET "x" = %s', "operation": "UPDATE", "writes": True}
OTHER_SQL = 'SELECT "library_book"."id" FROM "library_book" WHERE "id" IN (%s, %s)'


def a(*events):
    return a_trace(1, events=[*events])


def b(*events):
    return a_trace(2, events=[*events])


def matched(first, second) -> list[tuple[str, list[int], list[int]]]:
    """How, and the ids of the events on both sides."""
    return [
        (str(pair.matched), [use.event.id for use in pair.a], [use.event.id for use in pair.b])
        for pair in match_uses(list_uses(Index(first)), list_uses(Index(second)))
    ]


def kinds(first, second) -> dict[str, int]:
    return {str(kind): len(rows) for kind, rows in build_comparison(first, second).rows.items()}


class TestMatching:
    def test_the_same_statement_from_the_same_line_belongs_together_however_often_it_ran(self):
        first, second = a(a_query(1), a_query(2)), b(a_query(5), a_query(6), a_query(7, params=["x"]))
        assert matched(first, second) == [("both", [1, 2], [5, 6, 7])]

    def test_then_another_statement_from_the_same_line(self):
        first = a(a_query(1), a_query(2, sql=OTHER_SQL))
        second = b(a_query(1), a_query(2, sql=OTHER_SQL + " "))
        assert matched(first, second) == [("both", [1], [1]), ("line", [2], [2])]

    def test_then_the_same_statement_from_another_line(self):
        first, second = a(a_query(1)), b(a_query(1, callsite=OTHER_LINE))
        assert matched(first, second) == [("statement", [1], [1])]

    def test_the_line_comes_before_the_statement(self):
        first = a(a_query(1))
        second = b(a_query(1, sql=OTHER_SQL), a_query(2, callsite=OTHER_LINE))
        assert matched(first, second) == [("line", [1], [1]), ("nothing", [], [2])]

    def test_without_a_line_only_the_statement_counts(self):
        first = a(a_query(1, callsite=None), a_query(2, callsite=None, sql=OTHER_SQL))
        second = b(a_query(1, callsite=None), a_query(2, callsite=None, sql="SELECT 1"))
        assert matched(first, second) == [
            ("statement", [1], [1]),
            ("nothing", [2], []),
            ("nothing", [], [2]),
        ]

    @pytest.mark.parametrize(
        "other",
        [
            {"model": "library.Person"},
            {"operation": "DELETE"},
            {"callsite": Callsite(file="a.py", line=88, function="f")},
            {"callsite": Callsite(file="library/views.py", line=88, function="f", template=("a.html", 3))},
        ],
    )
    def test_a_line_is_model_operation_file_line_and_the_line_of_the_template(self, other):
        found = matched(a(a_query(1)), b(a_query(1, sql=OTHER_SQL, **other)))
        assert found == [("nothing", [1], []), ("nothing", [], [1])]

    def test_another_function_name_is_the_same_line(self):
        renamed = Callsite(file="library/views.py", line=88, function="renamed")
        assert matched(a(a_query(1)), b(a_query(1, callsite=renamed))) == [("both", [1], [1])]

    def test_decisions_that_led_to_no_query_are_matched_too_and_only_these(self):
        first = a(a_decision(1), a_query(2, decision_id=1), a_decision(3, action=Action.WRITE))
        second = b(a_decision(1, action=Action.WRITE), a_decision(2), a_query(3, decision_id=2))
        assert matched(first, second) == [("both", [2], [3]), ("both", [3], [1])]

    def test_a_decision_never_matches_a_query(self):
        assert matched(a(a_decision(1)), b(a_query(1))) == [("nothing", [1], []), ("nothing", [], [1])]

    def test_what_is_asked_about_is_matched_without_the_keys_of_objects(self):
        def relation(pk, model="library.Person"):
            refs = {
                name: InstanceRef(model=label, pk=pk, state_db="primary", adding=False)
                for name, label in (("obj1", "library.Book"), ("obj2", model))
            }
            return a_decision(
                1, action=Action.RELATION, args=refs, answer=True, model="library.Book", callsite=None
            )

        def migrate(db):
            args = {"db": db, "app_label": "library", "model_name": "book"}
            return a_decision(1, action=Action.MIGRATE, args=args, answer=True, model=None, callsite=None)

        assert matched(a(relation("1")), b(relation("2"))) == [("statement", [1], [1])]
        assert len(matched(a(relation("1")), b(relation("1", "library.Tag")))) == 2
        assert matched(a(migrate("primary")), b(migrate("primary"))) == [("statement", [1], [1])]
        assert len(matched(a(migrate("primary")), b(migrate("archive")))) == 2

    def test_transactions_are_left_out(self):
        assert matched(a(a_transaction(1)), b(a_transaction(2))) == []

    def test_every_event_is_in_exactly_one_pair(self):
        sites = [None, OTHER_LINE, a_query().callsite]
        first = [a_query(n, callsite=sites[n % 3], sql=f"SELECT {n % 7}") for n in range(1, 60)]
        second = [a_query(n, callsite=sites[n % 2], sql=f"SELECT {n % 5 + 3}") for n in range(1, 50)]
        found = matched(a(*first), b(*second))
        assert sorted(id for _, ids, _ in found for id in ids) == list(range(1, 60))
        assert sorted(id for _, _, ids in found for id in ids) == list(range(1, 50))
        assert {how for how, *_ in found} == set(MatchKind)


class TestDifferences:
    @pytest.mark.parametrize(
        ("first", "second", "kind"),
        [
            (["primary"], ["primary"], "same"),
            (["primary"], ["replica1"], "elsewhere"),
            (["replica1"], ["replica2"], "replica"),
            (["replica1", "replica2"], ["replica2", "replica1"], "same"),
            (["replica1", "replica1"], ["replica1", "replica2"], "replica"),
            (["primary", "primary", "replica1"], ["primary", "replica1", "replica1"], "elsewhere"),
            (["primary"], ["primary", "primary"], "count"),
            (["primary"], ["primary", "replica1"], "elsewhere"),
            (["replica1"], ["replica1", "replica2"], "replica"),
            (["nowhere"], ["elsewhere"], "elsewhere"),
            (["primary"] * 9 + ["archive"], ["primary"] + ["archive"] * 8, "shares"),
            (["primary", "archive"], ["primary", "archive", "archive"], "shares"),
            (["primary", "replica1"], ["primary", "replica1", "replica2"], "shares"),
            (["primary", "archive"], ["archive", "primary"] * 3, "count"),
            (["replica1", "replica1", "replica2"], ["replica1", "replica2"], "count"),
        ],
    )
    def test_of_where_it_went(self, first, second, kind):
        sides = [[a_query(n, alias) for n, alias in enumerate(aliases, 1)] for aliases in (first, second)]
        assert kinds(a(*sides[0]), b(*sides[1])) == {kind: 1}

    @pytest.mark.parametrize(
        ("first", "second", "kind"),
        [
            ([None], ["no such table"], "failed"),
            (["no such table"], ["timeout"], "same"),
            (["timeout", None], ["timeout", "timeout"], "failed"),
            (["timeout", "timeout"], ["timeout"], "failed"),
            (["timeout"], ["timeout", None], "count"),
        ],
    )
    def test_of_how_many_failed(self, first, second, kind):
        sides = [[a_query(n, error=error) for n, error in enumerate(errors, 1)] for errors in (first, second)]
        found = build_comparison(a(*sides[0]), b(*sides[1]))
        assert {str(kind): len(rows) for kind, rows in found.rows.items()} == {kind: 1}
        (row,) = found.rows[Difference(kind)]
        assert [part.failed for part in (*row.a, *row.b)] == [
            sum(error is not None for error in errors) for errors in (first, second)
        ]

    def test_another_route_to_the_same_database_is_another_decider(self):
        first, second = a(a_query(1, route=RouteKind.DEFAULT)), b(a_query(1, route=RouteKind.EXPLICIT))
        assert kinds(first, second) == {"decider": 1}
        (row,) = build_comparison(first, second).rows[Difference.DECIDER]
        assert [part.by for part in row.a] == ["default, no router had an opinion"]
        assert [part.by for part in row.b] == ["named in code"]

    def test_another_router_is_another_decider_and_is_named(self):
        def decided(router):
            step = Step(router=router, outcome=Outcome.ANSWERED, answer="replica1")
            return [a_decision(1, steps=[step]), a_query(2, decision_id=1)]

        first, second = a(*decided("routers.AuthRouter")), b(*decided("other.AuthRouter"))
        (row,) = build_comparison(first, second).rows[Difference.DECIDER]
        assert row.a[0].by == "AuthRouter"
        second = a_trace(2, events=decided("other.AuthRouter"), routers=["other.AuthRouter"])
        (row,) = build_comparison(first, second).rows[Difference.DECIDER]
        assert (row.a[0].by, row.b[0].by) == ("routers.AuthRouter", "other.AuthRouter")

    def test_another_object_is_no_other_decider(self):
        def decided(pk):
            hint = InstanceRef(model="library.Book", pk=pk, state_db="replica1", adding=False)
            decision = a_decision(1, steps=[], decided_by=DecidedBy.INSTANCE, hints={"instance": hint})
            return [decision, a_query(2, decision_id=1, route=RouteKind.INSTANCE)]

        assert kinds(a(*decided("1")), b(*decided("2"))) == {"same": 1}

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"decided_by": DecidedBy.SAME_DATABASE}, "_state.db compared, no router had an opinion"),
            ({"decided_by": DecidedBy.ALLOWED}, "allowed, no router had an opinion"),
            ({"decided_by": DecidedBy.ERROR, "answer": None}, "a router raised"),
            ({"decided_by": DecidedBy.INSTANCE}, "the instance's database"),
        ],
    )
    def test_who_decided_is_said_in_words(self, changes, words):
        trace = a(a_decision(1, steps=[], **changes))
        (row,) = build_comparison(trace, trace).rows[Difference.SAME]
        assert row.a[0].by == words

    @pytest.mark.parametrize(
        ("route", "words"),
        [
            (RouteKind.ROUTER, "a router"),
            (RouteKind.CURSOR, "raw cursor"),
            (RouteKind.SCHEMA, "schema editor"),
        ],
    )
    def test_of_a_query_without_its_decision_too(self, route, words):
        trace = a(a_query(1, route=route))
        (row,) = build_comparison(trace, trace).rows[Difference.SAME]
        assert row.a[0].by == words

    def test_what_only_one_has_is_on_its_side(self):
        first, second = a(a_query(1), a_query(2, **WRITE)), b(a_query(1))
        assert kinds(first, second) == {"only_a": 1, "same": 1}
        assert kinds(second, first) == {"only_b": 1, "same": 1}

    def test_the_weightiest_comes_first(self):
        first = a(a_query(1), a_query(2, callsite=OTHER_LINE, **WRITE))
        second = b(a_query(1), a_query(2, "primary", callsite=OTHER_LINE, **WRITE))
        assert list(build_comparison(first, second).rows) == [Difference.ELSEWHERE, Difference.SAME]

    def test_answers_of_decisions_are_compared_and_only_aliases_have_a_colour(self):
        def asked(answer, action=Action.WRITE):
            return a_decision(1, action=action, answer=answer)

        (row,) = build_comparison(a(asked("primary")), b(asked("replica1"))).rows[Difference.ELSEWHERE]
        assert row.a[0].database.alias == "primary"
        (row,) = build_comparison(a(asked("replica2")), b(asked("replica1"))).rows[Difference.REPLICA]
        first, second = (a(asked(yes, Action.RELATION)) for yes in (True, False))
        (row,) = build_comparison(first, second).rows[Difference.ELSEWHERE]
        assert (row.a[0].place, row.b[0].place) == ("allowed", "refused")
        assert row.a[0].database is row.b[0].database is None

    def test_a_row_says_what_it_was_where_in_the_code_how_often_how_long_and_leads_to_the_events(self):
        first = a(a_query(3), a_query(4), a_query(5, "primary"))
        (row,) = build_comparison(first, b(a_query(9, "primary", callsite=OTHER_LINE))).rows[
            Difference.ELSEWHERE
        ]
        assert (row.what, row.model) == ("SELECT library_book", "library.Book")
        assert row.where == ("views.py:88", "views.py:99")
        assert [(part.place, part.count, part.duration_us, part.event) for part in row.a] == [
            ("replica1", 2, 500.25, 3),
            ("primary", 1, 250.125, 5),
        ]
        assert [(part.place, part.event) for part in row.b] == [("primary", 9)]

    def test_a_decision_names_its_model_in_the_question(self):
        (row,) = build_comparison(a(a_decision(1)), b(a_decision(1))).rows[Difference.SAME]
        assert (row.what, row.model) == ("db_for_read(library.Book)", "")

    def test_without_a_line_there_is_none_to_name(self):
        trace = a(a_query(1, callsite=None))
        (row,) = build_comparison(trace, trace).rows[Difference.SAME]
        assert row.where == ()


class TestNumbers:
    def test_databases_side_by_side_in_order_also_those_that_one_has_not(self):
        first = a_trace(1, events=[a_query(1), a_query(2, "primary", **WRITE)])
        postgresql = Database(vendor="postgresql", engine="x", replica_of=None)
        second = a_trace(2, events=[a_query(1, "archive")], databases={"archive": postgresql})
        found = build_comparison(first, second).databases
        assert [(both.database.alias, both.a.queries, both.b.queries) for both in found] == [
            ("primary", 1, 0),
            ("replica1", 1, 0),
            ("archive", 0, 1),
        ]
        assert [both.a.writes for both in found] == [1, 0, 0]
        assert [both.b.duration_us for both in found] == [0, 0, 250.125]
        assert found[2].database.vendor == "postgresql"

    def test_findings_by_code_the_worst_first_and_only_where_their_number_differs(self):
        def finding(code, level=Level.WARNING, message="about #42"):
            return a_finding(code).__class__(code=code, level=level, message=message, events=[])

        first = a_trace(1, findings=[finding("gone"), finding("more"), finding("same", message="about #1")])
        second = a_trace(
            2,
            findings=[
                finding("new", Level.ERROR),
                finding("more"),
                finding("more"),
                finding("same", message="about #2"),
            ],
        )
        found = [(one.code, one.a, one.b) for one in build_comparison(first, second).findings]
        assert found == [("new", 0, 1), ("gone", 1, 0), ("more", 1, 2)]

    def test_identical_is_what_differs_in_nothing(self):
        assert build_comparison(a_trace(1), a_trace(2)).identical
        assert build_comparison(a(), b()).identical
        assert not build_comparison(a_trace(1), a_trace(2, findings=[a_finding()])).identical
        assert not build_comparison(a_trace(1, aliases=["replica1"] * 2), a_trace(2)).identical
        assert not build_comparison(a_trace(1), a_trace(2, aliases=["primary"])).identical

    @pytest.mark.parametrize("number", [1, 2])
    def test_that_events_are_missing_is_known(self, number):
        traces = [a_trace(1), a_trace(2)]
        assert not build_comparison(*traces).missing
        traces[number - 1] = a_trace(number, dropped=Dropped(query=1))
        assert build_comparison(*traces).missing

    def test_swapped_it_is_the_mirror_image(self):
        first = a(a_query(1), a_query(2, **WRITE), a_decision(3))
        second = b(a_query(1, "primary"), a_query(2, callsite=None), a_decision(3, answer="primary"))
        there, back = build_comparison(first, second), build_comparison(second, first)
        mirrored = {"only_a": "only_b", "only_b": "only_a"}
        assert kinds(first, second) == {
            mirrored.get(kind, kind): count for kind, count in kinds(second, first).items()
        }
        assert there.a == back.b
        assert there.rows[Difference.ELSEWHERE][0].a == back.rows[Difference.ELSEWHERE][0].b

    def test_of_ten_thousand_events_too(self):
        assert build_comparison(a_long_trace(1), a_long_trace(2)).identical
