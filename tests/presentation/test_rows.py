"""From a trace to rows, lanes, totals and sentences: hand-made traces, so that every case is there."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from dbroute_panel.presentation import (
    EventFilter,
    Index,
    Listing,
    Palette,
    ShortNames,
    build_chain,
    build_detail,
    compute_totals,
    formatting,
    highlight,
)
from dbroute_panel.presentation.rows import FOLD_SIZE, ROWS_PER_PAGE, summarize_statement
from dbroute_panel.records import (
    Action,
    Database,
    DecidedBy,
    Dropped,
    InstanceRef,
    Outcome,
    RouteKind,
    Step,
    TypeRef,
)
from dbroute_panel.templatetags.dbroute import at, duration, moment, span
from tests.traces import a_decision, a_finding, a_long_trace, a_query, a_trace, a_transaction

ROOT = Path(__file__).parents[2]


def a_database(replica_of=None):
    return Database(vendor="sqlite", engine="x", replica_of=replica_of)


def ref(**changes):
    return InstanceRef(**{"model": "library.Book", "pk": "42", "state_db": None, "adding": False} | changes)


def rows_of(events, **wanted):
    return Listing(Index(a_trace(events=events)), EventFilter(**wanted)).page().rows


class TestColours:
    def test_primaries_get_them_in_order_and_replicas_their_primary_s(self):
        palette = Palette(
            {
                "default": a_database(),
                "replica1": a_database("primary"),
                "primary": a_database(),
                "archive": a_database(),
            }
        )
        assert [palette[a].css for a in ("default", "primary", "archive")] == [
            "dbroute-db-0",
            "dbroute-db-1",
            "dbroute-db-2",
        ]
        assert palette["replica1"].css == "dbroute-db-1 dbroute-db-replica"
        assert palette["replica1"].replica_of == "primary"

    def test_an_alias_of_the_site_has_the_same_colour_in_each_trace_and_others_have_the_next(self):
        site = {"default": a_database(), "primary": a_database(), "replica1": a_database("primary")}
        trace = {"replica1": a_database("primary"), "legacy": a_database(), "primary": a_database()}
        own, there = Palette(site), Palette(trace, site)
        assert [there[alias].css for alias in ("primary", "replica1")] == [
            own[alias].css for alias in ("primary", "replica1")
        ]
        assert there["legacy"].css == "dbroute-db-2"
        assert there.order({"legacy", "replica1", "primary"}) == ["primary", "replica1", "legacy"]
        assert not there["default"].known  # the trace's project has no such database

    def test_what_is_a_replica_is_as_the_trace_says(self):
        site = {"default": a_database(), "copy": a_database("default")}
        there = Palette({"default": a_database(), "copy": a_database()}, site)
        assert (there["default"].css, there["copy"].css) == ("dbroute-db-0", "dbroute-db-1")

    def test_the_ninth_primary_begins_again(self):
        palette = Palette({f"db{n}": a_database() for n in range(9)})
        assert palette["db8"].css == palette["db0"].css

    def test_a_replica_of_a_replica_has_the_colour_of_the_end_of_the_chain(self):
        palette = Palette({"a": a_database(), "b": a_database("a"), "c": a_database("b")})
        assert palette["c"].css == "dbroute-db-0 dbroute-db-replica"

    def test_replicas_of_each_other_or_of_nothing_known_are_their_own(self):
        palette = Palette({"a": a_database("b"), "b": a_database("a"), "c": a_database("gone")})
        assert [palette[alias].css for alias in "abc"] == ["dbroute-db-0", "dbroute-db-1", "dbroute-db-2"]

    def test_an_unknown_alias_is_marked_and_comes_last(self):
        palette = Palette({"primary": a_database()})
        assert not palette["nowhere"].known
        assert palette["nowhere"].css == "dbroute-db-unknown"
        assert palette.order({"nowhere", "anywhere", "primary"}) == ["primary", "anywhere", "nowhere"]

    def test_the_colours_are_okabe_and_ito_s_with_a_grey_for_their_black(self):
        """https://jfly.uni-koeln.de/color/, for eyes of every kind."""
        css = (ROOT / "static/dbroute_panel/colours.css").read_text()
        found = [re.search(rf"\.dbroute-db-{n} {{\s*--dbroute-db: (#\w+);", css)[1] for n in range(8)]
        assert sorted(found) == sorted(
            ["#767676", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"]
        )

    def test_the_stylesheet_has_every_class(self):
        css = (ROOT / "static/dbroute_panel/colours.css").read_text()
        for name in (*(f"dbroute-db-{n}" for n in range(8)), "dbroute-db-replica", "dbroute-db-unknown"):
            assert f".{name} {{" in css


class TestRows:
    def test_a_query_shows_who_decided_and_its_decision_has_no_row(self):
        (row,) = rows_of([a_decision(1), a_query(2, decision_id=1)])
        assert (row.id, row.kind, row.why, row.by) == (2, "query", "ReplicaRouter", "router")
        assert row.database.alias == "replica1"
        assert row.what == "SELECT library_book"
        assert (row.where, row.site) == ("views.py:88", "library/views.py:88")
        assert row.anchors == (1,)

    def test_only_the_first_query_of_a_decision_has_its_anchor(self):
        rows = rows_of([a_decision(1), a_query(2, decision_id=1), a_query(3, decision_id=1)])
        assert [row.anchors for row in rows] == [(1,), ()]

    @pytest.mark.parametrize(
        ("route", "why"),
        [
            (RouteKind.EXPLICIT, 'using("archive"), no router asked'),
            (RouteKind.CURSOR, "raw cursor, the code chose the alias"),
            (RouteKind.SCHEMA, "schema editor, no router asked"),
            (RouteKind.PEERS, "with its peers, no router was asked"),
        ],
    )
    def test_a_query_that_no_router_was_asked_about_says_so(self, route, why):
        (row,) = rows_of([a_query(1, "archive", route=route)])
        assert row.why == why
        assert row.database.alias == "archive"

    def test_a_query_whose_decision_was_dropped_shows_its_route(self):
        (row,) = rows_of([a_query(2, decision_id=1, route=RouteKind.INSTANCE)])
        assert row.why == "instance"

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"decided_by": DecidedBy.INSTANCE}, "instance library.Book #42"),
            ({"decided_by": DecidedBy.DEFAULT}, "default, no router had an opinion"),
            ({"decided_by": DecidedBy.SAME_DATABASE}, "_state.db compared, no router had an opinion"),
            ({"decided_by": DecidedBy.ALLOWED}, "allowed, no router had an opinion"),
            ({"decided_by": DecidedBy.ERROR}, "error"),
            (
                {
                    "decided_by": DecidedBy.ERROR,
                    "steps": [Step(router="routers.Bad", outcome=Outcome.RAISED, error="ValueError: no")],
                },
                "Bad raised",
            ),
        ],
    )
    def test_what_decided_a_decision_in_a_few_words(self, changes, why):
        (row,) = rows_of([a_decision(1, **changes)])
        assert row.why == why

    def test_a_single_question_is_a_row_and_several_are_folded(self):
        one = rows_of([a_decision(1), a_query(2)])
        assert [row.kind for row in one] == ["decision", "query"]
        several = rows_of([a_decision(1), a_decision(2), a_decision(3), a_query(4)])
        assert [row.kind for row in several] == ["fold", "query"]
        assert (several[0].id, several[0].count) == (1, 3)
        assert several[0].more == ("db_for_read → replica1 ×3",)

    def test_a_fold_tells_the_worst_that_is_in_it(self):
        events = [a_decision(1), a_decision(2, decided_by=DecidedBy.ERROR, answer=None)]
        trace = a_trace(events=events, findings=[a_finding("router-raised", 2)])
        (fold,) = Listing(Index(trace)).page().rows
        assert (fold.level, fold.error) == ("warning", True)

    def test_asking_for_questions_or_an_action_unfolds(self):
        events = [a_decision(1), a_decision(2, action=Action.WRITE), a_query(3)]
        assert [row.id for row in rows_of(events, questions=True)] == [1, 2, 3]
        assert [row.id for row in rows_of(events, action="db_for_write")] == [2]

    def test_transactions_are_rows(self):
        (row,) = rows_of([a_transaction(1)])
        assert (row.kind, row.what, row.transaction_number) == ("transaction", "BEGIN", 1)

    def test_findings_and_failures_are_marked(self):
        trace = a_trace(
            events=[a_query(1, error="OperationalError: gone")], findings=[a_finding("stale-read", 1)]
        )
        (row,) = Listing(Index(trace)).page().rows
        assert (row.level, row.error) == ("warning", True)

    def test_allowed_and_refused_are_shown_in_place_of_a_database(self):
        args = {"obj1": ref(state_db="primary"), "obj2": ref(state_db="archive")}
        (row,) = rows_of([a_decision(1, action=Action.RELATION, args=args, hints={}, answer=False)])
        assert (row.database, row.outcome) == (None, "refused")
        assert row.what == "allow_relation(library.Book #42, library.Book #42)"
        args = {"db": "primary", "app_label": "library", "model_name": "book"}
        (row,) = rows_of([a_decision(1, action=Action.MIGRATE, args=args, model=None, answer=True)])
        assert (row.outcome, row.what) == ("migrate", "allow_migrate(primary, library, book)")

    @pytest.mark.parametrize(
        ("sql", "shown"),
        [
            ('SELECT COUNT(*) FROM (SELECT 1 FROM "library_book") x', "SELECT library_book"),
            ('SELECT 1 FROM "public"."library_book"', "SELECT public.library_book"),
            ("SELECT 1 FROM `library_book`", "SELECT library_book"),
            ("SELECT 1 FROM [dbo].[library_book]", "SELECT dbo.library_book"),
            ("CREATE TABLE IF NOT EXISTS things (id int)", "CREATE things"),
        ],
    )
    def test_a_statement_is_called_by_its_first_table(self, sql, shown):
        assert summarize_statement(a_query(1, sql=sql, operation=sql.split()[0])) == shown

    def test_a_statement_without_a_table_is_called_by_its_model_or_its_beginning(self):
        assert summarize_statement(a_query(1, sql="SELECT 1")) == "SELECT library.Book"
        assert (
            summarize_statement(a_query(1, sql="", operation="")) == "library.Book"
        )  # its database is not configured
        assert (
            summarize_statement(a_query(1, sql="PRAGMA\n  foreign_keys", model=None)) == "PRAGMA foreign_keys"
        )


class TestFilter:
    EVENTS = [
        a_decision(1),
        a_query(2, decision_id=1),
        a_query(3, "archive", route=RouteKind.EXPLICIT, model="library.Person", sql="SELECT x FROM people"),
        a_transaction(4),
        a_decision(5, model="auth.User", answer="primary", decided_by=DecidedBy.DEFAULT),
    ]

    @pytest.mark.parametrize(
        ("wanted", "ids"),
        [
            ({}, [2, 3, 4, 5]),
            ({"alias": "archive"}, [3]),
            ({"alias": "primary"}, [4, 5]),
            ({"route": "explicit"}, [3]),
            ({"route": "router"}, [2]),
            ({"route": "default"}, [5]),
            ({"model": "library.Person"}, [3]),
            ({"action": "db_for_read"}, [2, 5]),
            ({"text": "PEOPLE"}, [3]),
            ({"text": "views.py:88"}, [2, 3, 4, 5]),
            ({"text": "replicarouter"}, [2, 5]),
            ({"text": "begin"}, [4]),
            ({"text": "nothing has this"}, []),
            ({"alias": "archive", "text": "people", "route": "explicit"}, [3]),
        ],
    )
    def test_every_condition_holds(self, wanted, ids):
        assert [row.id for row in rows_of(self.EVENTS, **wanted)] == ids

    @pytest.mark.parametrize(
        ("wanted", "ids"),
        [
            ({"from_us": 0}, [2, 3, 4, 5]),
            ({"from_us": 400}, [2, 3, 4, 5]),
            ({"from_us": 450}, [2, 3, 5]),
            ({"from_us": 451}, [3, 5]),
            ({"to_us": 300}, [2]),
            ({"to_us": 301}, [2, 3]),
            ({"from_us": 300, "to_us": 401, "alias": "archive"}, [3]),
            ({"from_us": 101, "to_us": 200}, []),
            ({"from_us": 101, "to_us": 200, "questions": True}, [2]),
        ],
    )
    def test_of_a_time_is_what_went_on_in_it(self, wanted, ids):
        """Query 2 from 200 to 450 µs, after decision 1 from 100 to 101.5."""
        assert [row.id for row in rows_of(self.EVENTS, **wanted)] == ids

    def test_an_error_is_found_by_its_text(self):
        step = Step(router="routers.Bad", outcome=Outcome.RAISED, error="ValueError: shard missing")
        rows = rows_of(
            [a_decision(1, steps=[step]), a_query(2, error="OperationalError: gone")], text="shard"
        )
        assert [row.id for row in rows] == [1]

    def test_a_migration_is_found_by_the_database_that_was_asked_about(self):
        args = {"db": "archive", "app_label": "library", "model_name": None}
        event = a_decision(1, action=Action.MIGRATE, args=args, answer=True)
        assert [row.id for row in rows_of([event], alias="archive")] == [1]


class TestPages:
    def test_a_hundred_rows_a_page_and_the_number_is_held_inside(self):
        listing = Listing(Index(a_long_trace(events=2 * ROWS_PER_PAGE + 2)))
        assert (len(listing.page().rows), listing.page().pages) == (ROWS_PER_PAGE, 2) == (100, 2)
        assert listing.page(2).rows[0].id == 2 * ROWS_PER_PAGE + 2
        assert listing.page(99).number == 2
        assert listing.page(-1).number == 1

    def test_the_page_that_has_an_event(self):
        index = Index(a_long_trace(events=2 * ROWS_PER_PAGE + 2))
        assert Listing(index).page_with(index.row_of(2 * ROWS_PER_PAGE + 1)) == 2
        assert Listing(index).page_with(7_777) is None
        assert Listing(index, EventFilter(text="nothing has this")).page_with(2) is None

    def test_an_empty_trace_has_one_empty_page(self):
        page = Listing(Index(a_trace(events=[]))).page()
        assert (page.rows, page.pages, page.number) == ((), 1, 1)

    def test_a_long_fold_opens_in_parts(self):
        listing = Listing(Index(a_trace(events=[a_decision(id) for id in range(1, 251)])))
        first, second, third = (listing.fold(id) for id in (1, FOLD_SIZE + 50, 250))
        assert [row.id for row in first.rows] == list(range(1, FOLD_SIZE + 1))
        assert (first.before, first.after) == (None, FOLD_SIZE + 1)
        assert (second.first, second.before, second.after) == (1, 1, 2 * FOLD_SIZE + 1)
        assert (len(third.rows), third.after, third.total) == (50, None, 250)
        assert listing.fold(999) is None

    def test_the_first_events_for_the_toolbar(self):
        events = [a_query(1), *(a_decision(id) for id in range(2, 302)), a_query(302)]
        lines = list(Listing(Index(a_trace(events=events))).first(100))
        assert [row.kind for row, _ in lines] == ["query", "fold"]
        assert len(lines[1][1]) == 99


class TestDetail:
    def test_the_chain_has_every_router_in_order(self):
        trace = a_trace(events=[a_decision(1), a_query(2, decision_id=1)])
        detail = build_detail(Index(trace), trace.events[1])
        assert [(step.router, step.outcome, step.answer) for step in detail.chain.steps] == [
            ("AuthRouter", "passed", ""),
            ("ReplicaRouter", "answered", "replica1"),
        ]
        assert detail.chain.decided_by == "ReplicaRouter answered replica1. AuthRouter had no opinion."
        assert detail.sentence.startswith("Sent to “replica1” by decision #1, db_for_read(library.Book)")

    def test_where_the_database_of_an_object_comes_from(self):
        read = a_decision(5, model="library.Person", hints={}, answer="replica2")
        bound = a_decision(
            7,
            action=Action.WRITE,
            answer="primary",
            hints={"instance": ref(model="library.Person", pk="1", state_db="replica2", origin_id=5)},
        )
        asked = a_decision(
            9,
            action=Action.WRITE,
            hints={"instance": ref(pk=None, state_db="primary", adding=True, origin_id=7)},
        )
        trace = a_trace(events=[read, bound, asked])
        (fact,) = build_detail(Index(trace), asked).chain.hints
        assert fact.value == "new library.Book"
        assert fact.note == (
            "_state.db = primary, put there by decision #7, db_for_write(library.Book), "
            "asked with instance=library.Person #1 (_state.db = replica2)"
        )
        assert fact.origin.id == 7
        (fact,) = build_detail(Index(trace), bound).chain.hints
        assert fact.note == "_state.db = replica2, put there by decision #5, db_for_read(library.Person)"

    def test_an_object_without_a_database_or_with_one_from_elsewhere(self):
        decision = a_decision(
            1,
            hints={
                "instance": ref(pk=None),
                "other": ref(state_db="archive"),
                "n": 5,
                "t": TypeRef(type="x.Y"),
            },
        )
        facts = {
            fact.name: fact for fact in build_detail(Index(a_trace(events=[decision])), decision).chain.hints
        }
        assert facts["instance"].value == "library.Book without a key"
        assert facts["instance"].note == "_state.db is not set: no database yet"
        assert facts["other"].note == "_state.db = archive, which no decision of this trace put there"
        assert (facts["n"].value, facts["t"].value) == ("5", "<x.Y>")

    def test_an_origin_that_was_dropped_is_not_linked(self):
        decision = a_decision(3, hints={"instance": ref(state_db="primary", origin_id=1)})
        (fact,) = build_detail(Index(a_trace(events=[decision])), decision).chain.hints
        assert fact.origin is None
        assert "no decision of this trace" in fact.note

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            (
                {"decided_by": DecidedBy.INSTANCE, "steps": [], "answer": "replica1"},
                (
                    "No routers are configured. Django took the database of the hint “instance”: "
                    "library.Book #42 has _state.db = replica1."
                ),
            ),
            (
                {"decided_by": DecidedBy.DEFAULT, "answer": "default", "hints": {}},
                (
                    "No router had an opinion. There was no instance whose database could be taken, "
                    "so Django fell back to “default”."
                ),
            ),
            (
                {"decided_by": DecidedBy.ALLOWED, "answer": True, "action": Action.MIGRATE},
                "No router had an opinion. Without an opinion Django migrates.",
            ),
            (
                {
                    "decided_by": DecidedBy.ERROR,
                    "answer": None,
                    "steps": [Step(router="routers.Bad", outcome=Outcome.RAISED, error="ValueError: no")],
                },
                "Bad raised ValueError: no, so nobody else was asked and there is no answer.",
            ),
            ({"decided_by": DecidedBy.ERROR, "answer": None, "steps": []}, "The question ended in an error."),
            (
                {
                    "steps": [
                        Step(router="routers.Quiet", outcome=Outcome.NO_METHOD),
                        Step(router="routers.ReplicaRouter", outcome=Outcome.ANSWERED, answer="replica1"),
                    ]
                },
                "ReplicaRouter answered replica1. Quiet has no db_for_read().",
            ),
        ],
    )
    def test_what_decided_it_in_a_sentence(self, changes, sentence):
        decision = a_decision(1, **changes)
        assert build_chain(decision, ShortNames([])).decided_by == sentence

    def test_a_relation_shows_both_objects_and_what_was_compared(self):
        args = {"obj1": ref(state_db="primary"), "obj2": ref(model="library.Person", state_db="archive")}
        decision = a_decision(
            1, action=Action.RELATION, args=args, hints={}, answer=False, decided_by=DecidedBy.SAME_DATABASE
        )
        chain = build_chain(decision, ShortNames([]))
        assert [fact.name for fact in chain.arguments] == ["obj1", "obj2"]
        assert "primary and archive" in chain.decided_by
        same = a_decision(
            1,
            action=Action.RELATION,
            args={"obj1": ref(state_db="primary"), "obj2": ref(state_db="primary")},
            answer=True,
            decided_by=DecidedBy.SAME_DATABASE,
        )
        assert "both are primary" in build_chain(same, ShortNames([])).decided_by

    def test_routers_that_share_a_class_name_keep_their_paths(self):
        names = ShortNames(["one.Router", "two.Router", "three.Other"])
        assert [names(path) for path in ("one.Router", "three.Other", "late.Comer")] == [
            "one.Router",
            "Other",
            "Comer",
        ]

    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"route": RouteKind.EXPLICIT}, "The code named “archive” itself"),
            (
                {"route": RouteKind.CURSOR},
                (
                    "A raw cursor on connections[“archive”]: the code named the alias, or passed one on. "
                    "Django asks no router for a raw cursor."
                ),
            ),
            ({"route": RouteKind.SCHEMA}, "The schema editor of “archive”."),
            ({"decision_id": 7}, "Decision #7, which sent it there, is not in this trace."),
        ],
    )
    def test_a_query_without_a_chain_says_why_it_has_none(self, changes, sentence):
        query = a_query(8, "archive", **changes)
        detail = build_detail(Index(a_trace(events=[query])), query)
        assert detail.chain is None
        assert detail.sentence.startswith(sentence)

    def test_a_question_asked_by_a_router_links_to_the_one_it_was_answering(self):
        outer, inner = a_decision(1), a_decision(2, parent_id=1)
        query = a_query(3, parent_id=1, route=RouteKind.CURSOR)
        index = Index(a_trace(events=[outer, inner, query]))
        assert build_detail(index, inner).chain.parent.id == 1
        assert build_detail(index, query).parent.text == "db_for_read(library.Book)"
        assert build_detail(index, query).sentence.startswith("A raw cursor")

    def test_a_decision_links_to_its_queries(self):
        index = Index(a_trace(events=[a_decision(1), a_query(2, decision_id=1), a_query(3, decision_id=1)]))
        assert [link.id for link in build_detail(index, index.by_id[1]).queries] == [2, 3]
        assert index.row_of(1) == 2

    def test_the_saved_object_and_the_transaction(self):
        query = a_query(1, "primary", instance=ref(state_db="replica1"), atomic=True, transaction_number=2)
        detail = build_detail(Index(a_trace(events=[query])), query)
        assert detail.instance.value == "library.Book #42"
        assert (detail.atomic, detail.transaction_number) == (True, 2)
        begin = a_transaction(1)
        assert build_detail(Index(a_trace(events=[begin])), begin).kind == "transaction"

    @pytest.mark.parametrize(
        ("changes", "shown", "kept"),
        [
            ({"params": None}, (), False),
            ({"params": []}, (), True),
            ({"params": ["a", "b"]}, ("a", "b"), True),
            ({"params": {"name": "x"}}, ("name = x",), True),
            ({"params": [["a", "1"], ["b", "2"]], "many": True}, ("a, 1", "b, 2"), True),
            ({"params": [{"n": "1"}], "many": True}, ("n = 1",), True),
            ({"params": ["x" * 1000]}, ("x" * 300 + "… (1,000)",), True),
        ],
    )
    def test_parameters(self, changes, shown, kept):
        query = a_query(1, **changes)
        detail = build_detail(Index(a_trace(events=[query])), query)
        assert (detail.params, detail.params_kept) == (shown, kept)

    def test_rows_are_not_told_where_nothing_was_fetched_yet(self):
        query = a_query(1, sql="INSERT INTO x VALUES (1) RETURNING id", rowcount=0)
        assert build_detail(Index(a_trace(events=[query])), query).rowcount is None


class TestSQL:
    def test_formatted_over_lines_with_keywords_marked(self):
        pieces = highlight.format_sql('SELECT "a", 5 FROM "b" WHERE "c" = \'x\' -- why')
        assert "\n" in "".join(piece.text for piece in pieces)
        css = {piece.text.strip(): piece.css for piece in pieces}
        assert css["SELECT"] == css["WHERE"] == "dbroute-hl-keyword"
        assert css["5"] == css["'x'"] == "dbroute-hl-literal"
        assert all(before.css != after.css for before, after in pairwise(pieces))

    def test_nothing_is_lost(self):
        sql = 'SELECT "a"."b", %s FROM "a" WHERE "a"."b" IN (1, 2)'
        text = "".join(piece.text for piece in highlight.format_sql(sql))
        assert re.sub(r"\s", "", text) == re.sub(r"\s", "", sql)

    def test_a_very_long_statement_is_shown_as_it_is_and_cut(self):
        sql = "SELECT " + ", ".join(["1"] * 40_000)
        (piece,) = highlight.format_sql(sql)
        assert piece.text == sql[: highlight.MAX_SHOWN_LENGTH] + "…"

    def test_a_very_deep_statement_does_not_fail(self):
        sql = "(" * 4_000 + "SELECT 1" + ")" * 4_000
        assert "".join(piece.text for piece in highlight.format_sql(sql)).replace("\n", "").replace(" ", "")


class TestTotals:
    def test_what_was_counted(self):
        trace = a_trace(aliases=["replica1", "primary", "replica1"], dropped=Dropped(query=2, decision=1))
        totals = compute_totals(trace)
        assert (totals.events, totals.queries, totals.decisions, totals.transactions) == (5, 3, 1, 1)
        assert [(share.database.alias, share.queries) for share in totals.shares] == [
            ("primary", 1),
            ("replica1", 2),
        ]
        assert totals.databases == 2
        assert totals.dropped == 3
        assert totals.query_us == pytest.approx(3 * 250.125)

    def test_answers_of_any_kind_are_words(self):
        assert formatting.answer(TypeRef(type="shards.Shard")) == "<shards.Shard>"
        assert formatting.outcome(a_decision(1, answer=None)) == "no answer"
        assert formatting.place(None) == ""


class TestTimes:
    @pytest.mark.parametrize(
        ("microseconds", "shown"),
        [
            (None, ""),
            (0.0, "0.0 µs"),
            (0.96, "1.0 µs"),
            (12.4, "12 µs"),
            (99.96, "100 µs"),
            (100, "0.1 ms"),
            (3_190, "3.2 ms"),
            (84_000.5, "84 ms"),
            (12_340_000, "12.3 s"),
        ],
    )
    def test_durations_are_short_and_rounded(self, microseconds, shown):
        assert duration(microseconds).replace("\N{NO-BREAK SPACE}", " ") == shown

    @pytest.mark.parametrize(
        ("ends", "shown"),
        [
            ((12_000, 14_520), "12.0–14.5 ms"),
            ((12_010, 12_060), "12.01–12.06 ms"),
            ((12_000, 12_001), "12.000–12.001 ms"),
        ],
    )
    def test_both_ends_of_a_time_can_be_told_apart(self, ends, shown):
        assert span(ends).replace("\N{NO-BREAK SPACE}", " ") == shown

    def test_moments_are_in_the_time_zone_of_the_site(self, settings):
        settings.USE_TZ, settings.TIME_ZONE = True, "Europe/Berlin"
        assert moment("2026-11-22T10:00:00.5Z") == "11/22/2026 11:00:00"
        assert moment("2026-11-22T10:00:00") == "11/22/2026 10:00:00"
        assert moment("yesterday") == "yesterday"

    def test_the_place_in_a_trace_is_in_milliseconds(self):
        assert at(21_449) == "21.4"
