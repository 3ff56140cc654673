"""The timeline: what its bars and brackets say, how large it is, and where its links lead."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qs

import pytest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from msgspec import structs

from dbroute_panel.presentation import EventFilter, Index, Listing, build_timeline
from dbroute_panel.presentation.brackets import MAX_LEVELS
from dbroute_panel.presentation.timeline import (
    BAR_HEIGHT_PX,
    MAX_CELLS,
    MAX_COLUMNS,
    MAX_LANES,
    MIN_BAR_HEIGHT_PX,
    Columns,
)
from dbroute_panel.records import DecidedBy, Operation, Query, Transaction
from tests.traces import a_decision, a_long_trace, a_query, a_trace, a_transaction

B, C, R = Operation.BEGIN, Operation.COMMIT, Operation.ROLLBACK
S, SC, SR = Operation.SAVEPOINT, Operation.SAVEPOINT_COMMIT, Operation.SAVEPOINT_ROLLBACK


def drawn(trace, **context) -> str:
    return render_to_string("dbroute_panel/_timeline.html", {"timeline": build_timeline(trace), **context})


def lane_of(*events, duration_us=600.0):
    """The one lane of these events; a column is 10 µs wide."""
    (lane,) = build_timeline(a_trace(events=list(events), duration_us=duration_us)).lanes
    return lane


def transactions(*happened, number=1, alias="primary"):
    return [
        Transaction(
            id=id, alias=alias, at_us=at, operation=operation, transaction_number=number, callsite=None
        )
        for id, (at, operation) in enumerate(happened, 1)
    ]


class TestLanes:
    def test_one_a_database_in_order_and_the_routers_last(self):
        trace = a_trace(aliases=["replica1", "primary", "nowhere", "primary"])
        lanes = build_timeline(trace).lanes
        assert [lane.database and lane.database.alias for lane in lanes] == [
            "primary",
            "replica1",
            "nowhere",
            None,
        ]
        assert [lane.count for lane in lanes] == [2, 1, 1, 1]

    def test_the_time_of_an_inner_question_counts_once(self):
        lane = lane_of(a_decision(1, duration_us=9.0), a_decision(2, duration_us=4.0, parent_id=1))
        assert (lane.count, lane.duration_us) == (2, 9.0)

    def test_nothing_recorded_has_no_lanes_and_draws_nothing(self):
        trace = a_trace(events=[], duration_us=0.0)
        assert build_timeline(trace).lanes == ()
        assert drawn(trace).strip() == ""

    def test_a_lane_says_its_name_its_primary_its_count_and_its_time(self):
        markup = drawn(a_trace(events=[a_query(1), a_query(2)]))
        said = " ".join(re.sub(r"<svg.*?</svg>|<[^>]+>", " ", markup, flags=re.DOTALL).split())
        assert said == "Timeline replica1 ↦ primary 2 queries 0.5 ms"


class TestBars:
    def test_a_bar_is_as_high_as_the_share_of_its_time_that_was_spent(self):
        lane = lane_of(a_query(1, at_us=0, duration_us=10.0), a_query(2, at_us=505, duration_us=5.0))
        assert [(bar.x, bar.height) for bar in lane.bars] == [
            (0, BAR_HEIGHT_PX),
            (50, MIN_BAR_HEIGHT_PX + (BAR_HEIGHT_PX - MIN_BAR_HEIGHT_PX) / 2),
        ]

    def test_one_long_query_is_one_bar_until_something_else_begins(self):
        lane = lane_of(a_query(1, at_us=0, duration_us=105.0), a_query(2, at_us=75, duration_us=1.0))
        assert [(bar.x, bar.width, bar.count) for bar in lane.bars] == [(0, 7, 1), (7, 4, 2)]

    def test_its_title_says_how_many_how_long_and_when(self):
        markup = drawn(
            a_trace(
                events=[
                    a_query(1, at_us=1_000, duration_us=500.0),
                    a_query(2, at_us=1_600, duration_us=200.0, error="OperationalError: gone"),
                    a_decision(3, at_us=30_000, decided_by=DecidedBy.ERROR),
                ],
                duration_us=40_000.0,
            )
        ).replace("\N{NO-BREAK SPACE}", " ")
        assert "<title>2 queries, 1 failed, 0.7 ms, 1.0–2.0 ms</title>" in markup
        assert "<title>1 decision, 1 failed, 1.5 µs, 30.0–31.0 ms</title>" in markup

    def test_what_failed_is_marked_by_more_than_a_colour(self):
        whole = drawn(a_trace(events=[a_query(1)]))
        broken = drawn(a_trace(events=[a_query(1, error="OperationalError: gone")]))
        assert '<path class="dbroute-failed"' not in whole
        assert broken.count('<path class="dbroute-failed"') == 1
        assert "▼ failed" in broken
        assert "▼ failed" not in whole

    @pytest.mark.parametrize("events", [10_000, 400])
    def test_its_size_does_not_grow_with_the_events(self, events):
        trace = a_long_trace(events=events)
        for lane in build_timeline(trace).lanes:
            assert len(lane.bars) <= MAX_COLUMNS
            assert all(
                0 < bar.height <= BAR_HEIGHT_PX and bar.x + bar.width <= MAX_COLUMNS for bar in lane.bars
            )
        assert len(drawn(trace, links="?", bars=True)) < 50_000

    def test_many_databases_share_the_columns(self):
        aliases = [f"shard{n}" for n in range(5)]
        trace = a_trace(events=[a_query(n, aliases[n % 5]) for n in range(1, 2_000)])
        timeline = build_timeline(trace)
        assert timeline.columns == MAX_CELLS // 5
        assert sum(len(lane.bars) for lane in timeline.lanes) <= MAX_CELLS

    def test_of_very_many_databases_those_with_most_events_are_drawn_and_the_others_counted(self):
        events = [a_query(n, f"shard{n % 30:02}") for n in range(1, 91)]
        events += [a_query(n, f"shard{n % 8 + 20}") for n in range(91, 130)]
        events += [a_transaction(130, "shard00"), a_transaction(131, "shard25")]
        trace = a_trace(events=events)
        timeline = build_timeline(trace)
        drawn_ones = [lane.database.alias for lane in timeline.lanes]
        assert drawn_ones == [f"shard{n}" for n in range(20, 20 + MAX_LANES)]
        assert timeline.others == 22
        assert sum(len(lane.bars) for lane in timeline.lanes) <= MAX_CELLS
        assert "22 more databases with fewer events are not drawn" in drawn(trace)
        assert "not drawn" not in drawn(a_trace(events=events[20:27]))


class TestBrackets:
    def test_a_transaction_lasts_from_its_begin_to_its_end(self):
        (bracket,) = lane_of(*transactions((100, B), (349, C))).brackets
        assert (bracket.level, bracket.x, bracket.width, bracket.ends) == (0, 10, 25, (100, 349))
        assert (bracket.opened, bracket.ended, bracket.crossed) == (True, True, False)
        assert bracket.label == "1 transaction"
        assert bracket.line == "M10.1 0v4M10.1 2H34.9M34.9 0v4"

    def test_savepoints_lie_below_it_as_they_are_nested(self):
        lane = lane_of(*transactions((0, B), (100, S), (200, S), (300, SC), (400, SC), (500, C)))
        assert [(b.level, b.ends, b.label) for b in lane.brackets] == [
            (0, (0, 500), "1 transaction"),
            (1, (100, 400), "1 savepoint"),
            (2, (200, 300), "1 savepoint"),
        ]
        assert lane.depth == 3

    def test_deeper_ones_are_in_the_last_level(self):
        depth = MAX_LEVELS + 3
        lane = lane_of(*transactions((0, B), *((100 + n, S) for n in range(depth)), (500, C)))
        assert lane.depth == MAX_LEVELS
        assert sum(b.count for b in lane.brackets) == depth + 1

    def test_a_savepoint_that_was_rolled_back_is_open_until_it_is_released(self):
        """As ``atomic()`` does it: ROLLBACK TO SAVEPOINT, then RELEASE."""
        lane = lane_of(*transactions((0, B), (100, S), (200, SR), (210, SC), (500, C)))
        outer, inner = lane.brackets
        assert (inner.ends, inner.label) == ((100, 210), "1 savepoint, rolled back")
        assert outer.label == "1 transaction"

    def test_what_is_in_a_transaction_that_was_rolled_back_was_rolled_back(self):
        lane = lane_of(*transactions((0, B), (100, S), (300, SR), (500, R)))
        assert [b.label for b in lane.brackets] == ["1 transaction, rolled back", "1 savepoint, rolled back"]
        assert [b.ends for b in lane.brackets] == [(0, 500), (100, 500)]

    def test_rolled_back_is_told_apart_by_more_than_a_colour(self):
        committed = drawn(a_trace(events=transactions((100, B), (349, C))))
        undone = drawn(a_trace(events=transactions((100, B), (349, R))))
        assert "stroke-dasharray" not in committed
        assert "dashed and crossed: rolled back" not in committed
        assert 'class="dbroute-rolled-back" stroke-dasharray="4 2"' in undone
        assert "dashed and crossed: rolled back" in undone
        assert "<title>1 transaction, rolled back, 0.1–0.3 ms</title>" in undone.replace(
            "\N{NO-BREAK SPACE}", " "
        )

    def test_one_that_has_only_one_end_in_the_trace_is_open_at_the_other(self):
        (before,) = lane_of(*transactions((249, C), number=None)).brackets
        assert (before.ends, before.label) == ((0, 249), "1 transaction, open before the trace")
        assert before.line.count("v4") == 1
        (after,) = lane_of(*transactions((400, B))).brackets
        assert (after.ends, after.label) == ((400, 600), "1 transaction, open at its end")
        assert after.line.count("v4") == 1

    def test_savepoints_of_one_that_began_before_the_trace_are_inside_it(self):
        lane = lane_of(*transactions((100, S), (200, SC), (250, SC), number=None))
        assert [(b.level, b.ends) for b in lane.brackets] == [(0, (0, 600)), (1, (100, 200))]

    def test_many_in_one_column_are_one(self):
        happened = [(500 + n, operation) for n in range(5) for operation in (B, R if n == 3 else C)]
        events = [
            Transaction(
                id=id,
                alias="primary",
                at_us=at,
                operation=operation,
                transaction_number=id // 2,
                callsite=None,
            )
            for id, (at, operation) in enumerate(happened, 2)
        ]
        (bracket,) = lane_of(*events).brackets
        assert (bracket.label, bracket.ends) == ("5 transactions, 1 rolled back", (500, 504))
        assert not bracket.crossed

    def test_their_number_does_not_grow(self):
        events = [
            event
            for n in range(2_000)
            for event in (*transactions((n * 30, B), (n * 30 + 10, S), (n * 30 + 20, SC), (n * 30 + 25, C)),)
        ]
        assert len(lane_of(*events, duration_us=60_000.0).brackets) <= MAX_COLUMNS * MAX_LEVELS


class TestAxis:
    @pytest.mark.parametrize(
        ("end_us", "ticks"),
        [
            (84_000, [20_000, 40_000, 60_000]),
            (27_000, [5_000, 10_000, 15_000, 20_000]),
            (1_000, [200, 400, 600]),
            (100_000, [20_000, 40_000, 60_000]),  # 80 ms would touch 100 ms
            (9_530, [2_000, 4_000, 6_000]),  # 8.0 ms would be drawn over 9.5 ms where it is narrow
            (1, []),
            (3, [1, 2]),
        ],
    )
    def test_it_has_a_few_round_times_that_leave_room_for_the_ends(self, end_us, ticks):
        assert [tick.at_us for tick in Columns(end_us, MAX_COLUMNS).ticks] == ticks

    def test_it_is_written_below_the_lanes(self):
        markup = drawn(a_trace(duration_us=84_000.0)).replace("\N{NO-BREAK SPACE}", " ")
        axis = re.search(r'dbroute-axis".*?</svg>', markup, re.DOTALL)[0]
        assert re.findall(r'<text x="([^"]+)"[^>]*>([^<]+)', axis) == [
            ("0", "0"),
            ("23.81%", "20 ms"),
            ("47.62%", "40 ms"),
            ("71.43%", "60 ms"),
            ("100%", "84 ms"),
        ]

    @pytest.mark.parametrize("end_us", [1, 7, 60, 61, 84_001, 10**9])
    def test_every_moment_is_in_the_column_of_its_edges(self, end_us):
        columns = Columns(end_us, MAX_COLUMNS)
        for column in range(columns.number):
            first, beyond = columns.edge(column), columns.edge(column + 1)
            assert columns.at(first) == columns.at(beyond - 1) == column
        assert columns.at(end_us * 2) == columns.number - 1

    def test_a_language_with_a_decimal_comma_does_not_change_an_attribute(self):
        trace = a_trace(events=[a_query(1, at_us=1_234_567), *transactions((1_300_000, B))])
        with translation.override("de"):
            markup = drawn(trace, links="?", bars=True)
        geometry = re.findall(r' (?:x|y|d|width|height|viewBox|href)="([^"]+)"', markup)
        assert not [value for value in geometry if "," in value]


class TestLinks:
    TRACE = a_trace(
        events=[
            *(a_query(n, "replica1", at_us=n * 37, duration_us=n * 1.7) for n in range(1, 40)),
            *(a_query(n, "primary", at_us=n * 41, duration_us=0.3) for n in range(40, 80)),
            *(a_decision(n, at_us=n * 11, duration_us=3.0) for n in range(80, 99)),
            # Decisions that are shown in the row of a query: of one at once, of two, of one later.
            *(a_decision(n, at_us=n * 9, duration_us=8.0) for n in range(100, 103)),
            *(a_query(n, at_us=n * 6, duration_us=5.0, decision_id=n // 2 - 1) for n in (202, 203, 204)),
            a_query(205, at_us=2_000, duration_us=5.0, decision_id=102),
            a_query(206, at_us=2_001, duration_us=5.0, decision_id=102),
            # One inside the question before it, and what is on a database without being a query.
            a_decision(300, at_us=902, duration_us=2.0, parent_id=100),
            structs.replace(a_transaction(301, "replica1"), at_us=1_220),
        ],
        duration_us=3_333.0,
    )

    def test_a_bar_links_to_exactly_the_events_that_its_title_counts(self):
        index = Index(self.TRACE)
        for lane in build_timeline(self.TRACE).lanes:
            for bar in lane.bars:
                wanted = EventFilter(
                    alias=lane.database.alias if lane.database else "",
                    questions=lane.database is None,
                    kind=parse_qs(bar.query)["kind"][0],
                    from_us=bar.ends[0],
                    to_us=bar.ends[1],
                )
                events = [index.by_id[row.id] for row in Listing(index, wanted).page().rows]
                assert len(events) == bar.count
                if lane.database is not None:
                    assert all(isinstance(event, Query) for event in events)

    def test_on_the_page_of_a_trace_it_leads_to_those_events(self, admin, store):
        store.save(self.TRACE)
        page = reverse("admin:dbroute_panel_trace_change", args=(self.TRACE.id,))
        body = admin.get(f"{page}?model=library.Book&db=primary&page=1").content.decode()
        found = re.findall(r'<a href="([^"]+)"><title>(\d+) quer', body)
        assert len(found) > 20
        assert body.count("</title><path d=") == len(found) + body.count(" decision, ") + body.count(
            " decisions, "
        )
        for href, count in (found[3], found[-3]):
            query, _, fragment = unescape(href).partition("#")
            given = parse_qs(query[1:])
            assert set(given) == {"model", "db", "kind", "from_us", "to_us"}
            events = admin.get(page + query).content.decode()
            assert f'id="{fragment}"' in events
            assert events.count('<details class="dbroute-row ') == int(count)
            assert "queries at " in events
            assert 'name="kind" value="queries"' in events

    def test_a_bar_of_the_routers_leads_to_as_many_rows_as_it_says_decisions(self, admin, store):
        store.save(self.TRACE)
        page = reverse("admin:dbroute_panel_trace_change", args=(self.TRACE.id,))
        found = re.findall(r'<a href="([^"]+)"><title>(\d+) decis', admin.get(page).content.decode())
        assert len(found) > 2
        for href, count in found:
            events = admin.get(page + unescape(href).partition("#")[0]).content.decode()
            assert events.count('<details class="dbroute-row ') == int(count)
            assert "decisions at " in events

    def test_a_lane_s_name_leads_to_its_events(self, admin, store):
        store.save(self.TRACE)
        body = admin.get(reverse("admin:dbroute_panel_trace_change", args=(self.TRACE.id,))).content.decode()
        names = re.findall(r'dbroute-lane-name"><a href="([^"]+)"', body)
        assert names == [
            "?db=primary#dbroute-events-title",
            "?db=replica1#dbroute-events-title",
            "?questions=on#dbroute-events-title",
        ]

    def test_also_where_the_filter_is_long_a_lane_s_name_leads_to_its_events_and_keeps_it(self, admin, store):
        store.save(self.TRACE)
        page = reverse("admin:dbroute_panel_trace_change", args=(self.TRACE.id,))
        body = admin.get(f"{page}?q={'x' * 300}").content.decode()
        names = re.findall(r'dbroute-lane-name"><a href="([^"]+)"', body)
        assert names[0] == f"?q={'x' * 300}&amp;db=primary#dbroute-events-title"
        assert "kind=" not in body.partition("</section>")[0]  # too many bars to say it in each of them

    def test_the_keyboard_can_pass_by_all_of_them(self):
        markup = drawn(self.TRACE, links="?", bars=True)
        assert markup.index('class="dbroute-skip" href="#dbroute-events"') < markup.index("<svg")

    def test_where_there_is_no_page_there_is_no_link(self):
        assert "href" not in drawn(self.TRACE)

    def test_it_has_neither_script_nor_inline_style(self):
        markup = drawn(self.TRACE, links="?", bars=True)
        assert not re.search(r"\sstyle=|<script|<style|\son\w+=", markup)
