"""A decision about another model is told as what it is: in the list, in a row, in the exports, to pytest."""

from __future__ import annotations

import csv
import html
import io
import json
import re

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connections, models
from django.test.utils import isolate_apps
from django.urls import reverse
from django.utils import translation
from msgspec.structs import replace

from dbroute_panel import records, trace
from dbroute_panel.asked import Asked, asked_about
from dbroute_panel.exports import FORMATS
from dbroute_panel.exports.spans import build_spans
from dbroute_panel.panel.rows import build_lines
from dbroute_panel.presentation import EventFilter, Index, Listing, build_detail, count_deciders
from dbroute_panel.presentation.comparison import Difference, build_comparison
from dbroute_panel.pytest_plugin.route_trace import RouteTrace
from dbroute_panel.records import Action, InstanceRef, Level, RouteKind
from dbroute_panel.redaction import redact_trace
from example_site.library.models import Book, Review
from example_site.users.models import User
from tests.traces import a_decision, a_finding, a_query, a_trace

PASSED_ON = "alias of #1, db_for_write(shop.Poll); no router was asked about shop.Record"
NOVEL = InstanceRef(model="shop.Novel", pk="7", state_db=None, adding=True)


MAY_BREAK = "<wbr>"
"""Where a line may end in the middle of ``db_for_write(shop.Poll)``; it is no character of the text."""


def poll(id=1, **changes):
    fields = {"action": Action.WRITE, "model": "shop.Poll", "hints": {}, "answer": "primary"}
    return a_decision(id, **fields | changes)


def record(id=2, **changes):
    """A query that ran on the alias of a decision about another model."""
    fields = {"model": "shop.Record", "decision_id": 1, "sql": "INSERT INTO shop_record VALUES (1)"}
    return a_query(id, "primary", **fields | changes)


@pytest.fixture
def passed_on():
    """A decision, the query that it was about, and one whose alias is the same answer."""
    own = a_query(2, "primary", model="shop.Poll", decision_id=1, sql="INSERT INTO shop_poll VALUES (1)")
    return a_trace(events=[poll(), own, record(3)], routers=["routers.ReplicaRouter"])


class TestWhatWasAsked:
    @pytest.mark.parametrize(
        ("query", "decision", "asked"),
        [
            ({"model": "shop.Poll"}, {}, Asked.SAME_MODEL),
            ({"model": "shop.Record"}, {}, Asked.OTHER_MODEL),
            ({"model": "shop.Book", "instance": NOVEL}, {"model": "shop.Novel"}, Asked.SAVED_OBJECT),
            ({"model": "shop.Book", "instance": NOVEL}, {}, Asked.OTHER_MODEL),
            ({"model": None}, {}, Asked.UNKNOWN),
            ({"model": "shop.Record"}, {"model": None}, Asked.UNKNOWN),
            ({"model": None}, {"model": None}, Asked.UNKNOWN),
        ],
    )
    def test_is_told_by_the_two_models_and_the_object_that_is_saved(self, query, decision, asked):
        assert asked_about(record(**query), poll(**decision)) is asked


class TestRows:
    @pytest.mark.parametrize(
        ("query", "why"),
        [
            ({"model": "shop.Poll"}, "ReplicaRouter"),
            ({}, PASSED_ON),
            ({"model": None}, "alias of #1, db_for_write(shop.Poll)"),
            (
                {"model": "shop.Book", "instance": NOVEL},
                "alias of #1, db_for_write(shop.Poll); no router was asked about shop.Book",
            ),
        ],
    )
    def test_the_column_says_whose_alias_it_is(self, query, why):
        index = Index(a_trace(events=[poll(), record(**query)]))
        assert [row.why for row in Listing(index).page().rows] == [why]

    def test_a_row_of_an_object_s_other_table_names_the_class_that_was_asked_about(self):
        index = Index(a_trace(events=[poll(model="shop.Novel"), record(model="shop.Book", instance=NOVEL)]))
        (row,) = Listing(index).page().rows
        assert row.why == "alias of #1, db_for_write(shop.Novel), the saved object's model"
        assert build_detail(index, index.by_id[2]).sentence == (
            "Sent to “primary” by decision #1, db_for_write(shop.Novel), about the saved object. This "
            "statement writes its row of shop.Book, about which no router was asked."
        )

    def test_the_detail_says_so_before_the_chain(self, passed_on):
        index = Index(passed_on)
        own, other = (build_detail(index, index.by_id[number]) for number in (2, 3))
        assert (own.about_other, other.about_other) == (False, True)
        assert other.sentence == (
            "Sent to “primary”, the alias that decision #1, db_for_write(shop.Poll), had given and that was "
            "passed on. No router was asked about shop.Record here."
        )

    def test_a_decision_is_shown_with_the_first_query_that_it_is_about(self):
        events = [poll(), record(2), record(3, model="shop.Poll"), record(4, model="shop.Poll")]
        index = Index(a_trace(events=events))
        assert index.row_of(1) == 3
        assert [row.anchors for row in Listing(index).page().rows] == [(), (1,), ()]
        assert Index(a_trace(events=[poll(), record(2), record(3)])).row_of(1) == 2
        assert Index(a_trace(events=[poll()])).row_of(1) == 1
        assert Index(a_trace(events=[record(2), record(3)])).row_of(1) == 2  # the decision was not kept

    @pytest.mark.parametrize(
        ("wanted", "rows"),
        [
            ({"model": "shop.Poll"}, [2]),
            ({"model": "shop.Record"}, [3]),
            ({"by": "other_model"}, [3]),
            ({"by": "routers.ReplicaRouter"}, [2]),
        ],
    )
    def test_filters_find_each_by_what_it_is(self, passed_on, wanted, rows):
        assert [row.id for row in Listing(Index(passed_on), EventFilter(**wanted)).page().rows] == rows

    def test_a_decision_is_found_by_its_model_also_in_the_row_of_another_one(self):
        listing = Listing(
            Index(a_trace(events=[poll(), record(2), record(3)])), EventFilter(model="shop.Poll")
        )
        assert [row.id for row in listing.page().rows] == [2]

    def test_who_decided_how_often_counts_it_as_nobody_s(self, passed_on):
        assert [(one.by, str(one.name), one.queries) for one in count_deciders(Index(passed_on))] == [
            ("routers.ReplicaRouter", "ReplicaRouter", 1),
            ("other_model", "an answer about another model", 1),
        ]

    def test_in_german_and_french(self, passed_on):
        for language in ("de", "fr"):
            with translation.override(language):
                row = Listing(Index(passed_on)).page().rows[1]
            assert row.why != PASSED_ON
            assert "#1, db_for_write(shop.Poll)" in row.why
            assert "shop.Record" in row.why

    def test_compared_with_a_query_that_a_router_decided_about(self, passed_on):
        own = poll(4, model="shop.Record")
        asked = a_trace(events=[*passed_on.events[:2], own, record(5, decision_id=4)])
        rows = build_comparison(passed_on, asked).rows[Difference.DECIDER]
        assert [(row.a[0].by, row.b[0].by) for row in rows] == [
            ("an answer about shop.Poll", "ReplicaRouter")
        ]


class TestExports:
    def test_csv_has_the_model_that_was_asked_about(self, passed_on):
        rows = list(csv.DictReader(io.StringIO(b"".join(FORMATS["csv"].write([passed_on])).decode())))
        assert [(row["model"], row["decision_model"]) for row in rows] == [
            ("shop.Poll", ""),
            ("shop.Poll", "shop.Poll"),
            ("shop.Record", "shop.Poll"),
        ]

    def test_a_span_does_not_claim_that_a_router_decided_about_its_model(self, passed_on):
        _whole, decision, own, other = build_spans(passed_on)
        assert own.attributes["dbroute.router"] == "routers.ReplicaRouter"
        assert "dbroute.decision.model" not in own.attributes
        assert other.attributes["dbroute.decision.model"] == "shop.Poll"
        assert {"dbroute.router", "dbroute.answer", "dbroute.decided_by"}.isdisjoint(other.attributes)
        assert own.link == other.link == decision.id

    def test_a_span_of_raw_sql_on_a_router_s_alias_has_both(self):
        *_, span = build_spans(a_trace(events=[poll(), record(model=None)]))
        assert span.attributes["dbroute.router"] == "routers.ReplicaRouter"
        assert span.attributes["dbroute.decision.model"] == "shop.Poll"

    def test_a_slice_of_a_chrome_trace_has_it(self, passed_on):
        events = json.loads(b"".join(FORMATS["chrome"].write([passed_on])))["traceEvents"]
        args = {event["args"]["id"]: event["args"] for event in events if event.get("cat") == "sql"}
        assert "decision_model" not in args[2]
        assert args[3]["decision_model"] == "shop.Poll"

    @pytest.mark.parametrize("shown", [lambda trace: trace, redact_trace])
    def test_the_html_page_says_it(self, passed_on, shown):
        page = b"".join(FORMATS["html"].write([shown(passed_on)])).decode().replace(MAY_BREAK, "")
        assert PASSED_ON in page
        assert "No router was asked about shop.Record here." in page
        assert "an answer about another model" in page

    def test_documents_are_as_they_were(self, passed_on):
        assert records.loads(records.dumps(passed_on)) == passed_on
        assert [query.route for query in passed_on.queries] == [RouteKind.ROUTER, RouteKind.ROUTER]

    def test_a_row_of_it_looks_as_one_that_no_router_decided(self, passed_on):
        own, other = Listing(Index(passed_on)).page().rows
        assert (own.by, other.by) == ("router", "other_model")


class TestPage:
    @pytest.fixture
    def get(self, admin, store, passed_on):
        """The text of the trace's page, with this query string."""
        store.save(passed_on)
        address = reverse("admin:dbroute_panel_trace_change", args=[passed_on.id])

        def get(query=""):
            page = admin.get(f"{address}?{query}").content.decode().replace(MAY_BREAK, "")
            return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())

        return get

    def test_the_column_and_the_totals_say_it(self, get):
        assert PASSED_ON in get()
        assert "an answer about another model 1" in get()

    def test_a_row_that_is_opened_says_it_before_the_chain(self, get):
        page = get("event=3")
        sentence, chain = page.index("No router was asked about shop.Record here."), page.index("Decision #1")
        assert sentence < chain

    def test_a_line_ends_before_the_model_and_not_in_it(self, admin, store, passed_on):
        store.save(passed_on)
        page = admin.get(reverse("admin:dbroute_panel_trace_change", args=[passed_on.id])).content.decode()
        assert f"db_for_write({MAY_BREAK}shop.Poll)" in page

    def test_it_can_be_filtered_for(self, get):
        assert PASSED_ON in get("by=other_model")
        assert "INSERT shop_poll" not in get("by=other_model")
        assert PASSED_ON not in get("by=routers.ReplicaRouter")


class TestPanel:
    def test_its_rows_say_it(self, passed_on):
        shown = "".join(line.html for line in build_lines(Index(passed_on), None)[0]).replace(MAY_BREAK, "")
        assert PASSED_ON in shown
        assert "No router was asked about shop.Record here." in shown

    def test_so_do_short_ones(self, passed_on, monkeypatch):
        monkeypatch.setattr("dbroute_panel.panel.rows.ROWS_BUDGET_CHARACTERS", 0)
        shown = "".join(line.html for line in build_lines(Index(passed_on), None)[0])
        assert PASSED_ON in shown
        assert "No router was asked about shop.Record here. ReplicaRouter answered" in shown


@pytest.mark.usefixtures("site")
class TestWhatDjangoPassesOn:
    """Recorded, with the routers of the example site."""

    def told(self, t):
        rows = {row.id: row for row in Listing(Index(t.document)).page().rows}
        return [(query.model, re.sub(r"#\d+", "#n", rows[query.id].why)) for query in t.queries]

    def test_the_target_of_a_generic_foreign_key(self):
        ContentType.objects.clear_cache()
        with trace("t") as t:
            _ = Review.objects.get(text="The turtle moves.").about
        alias = "alias of #n, db_for_read(library.Review); no router was asked about"
        assert self.told(t) == [
            ("library.Review", "PrimaryReplicaRouter"),
            ("contenttypes.ContentType", f"{alias} contenttypes.ContentType"),
            ("library.Book", f"{alias} library.Book"),
        ]

    def test_what_a_many_to_many_manager_creates(self):
        book = Book.objects.using("primary").first()
        with trace("t") as t:
            book.tags.create(name="brass")
        told = self.told(t)
        assert told[0] == (
            "library.Tag",
            "alias of #n, db_for_write(library.Book); no router was asked about library.Tag",
        )
        assert {why for model, why in told if model == "library.Book_tags"} == {"PrimaryReplicaRouter"}

    def test_what_is_deleted_along(self):
        user = User.objects.create(username="zoe")
        user.cards.create(number="1")
        with trace("t") as t:
            user.delete()
        told = dict(self.told(t))
        assert told.pop("users.User") == "UserRouter"
        assert told == {
            model: f"alias of #n, db_for_write(users.User); no router was asked about {model}"
            for model in ("users.Card", "users.Loan")
        }

    @isolate_apps("example_site.library")
    def test_the_tables_of_an_object_with_a_parent_model(self):
        class Place(models.Model):  # noqa: DJ008
            name = models.CharField(max_length=20)

            class Meta:
                app_label = "library"

        class Restaurant(Place):  # noqa: DJ008
            stars = models.IntegerField(default=0)

            class Meta:
                app_label = "library"

        class Bistro(Restaurant):  # noqa: DJ008
            class Meta:
                app_label = "library"
                proxy = True

        with connections["primary"].schema_editor() as editor:
            editor.create_model(Place)
            editor.create_model(Restaurant)
        with trace("saved") as saved:
            restaurant = Restaurant.objects.create(name="Milliways")
        with trace("proxy") as proxy:
            Bistro.objects.create(name="Chez Quis")
        with trace("updated") as updated:
            Restaurant.objects.update(name="Milliways")
        with trace("deleted") as deleted:
            restaurant.delete()

        asked = "alias of #n, db_for_write(library.{}), the saved object's model"
        assert self.told(saved) == [
            ("library.Place", asked.format("Restaurant")),
            ("library.Restaurant", "PrimaryReplicaRouter"),
        ]
        assert self.told(proxy) == [
            ("library.Place", asked.format("Bistro")),
            ("library.Restaurant", asked.format("Bistro")),
        ]
        nobody = "alias of #n, db_for_write(library.Restaurant); no router was asked about library.Place"
        assert ("library.Place", nobody) in self.told(updated)
        assert ("library.Place", nobody) in self.told(deleted)
        for t in (saved, proxy, updated, deleted):
            deciders = {one.by for one in count_deciders(Index(t.document))}
            assert "example_site.routers.PrimaryReplicaRouter" in deciders
            assert ("other_model" in deciders) == (t in (updated, deleted))
            assert t.findings == []

    def test_command_and_pytest_s_fixture_say_it_too(self, tmp_path, capsys):
        book = Book.objects.using("primary").first()
        with trace("t") as t:
            book.tags.create(name="brass")
        call_command("dbroute", "show", t.id, verbosity=2)
        text = " ".join(capsys.readouterr().out.split())
        assert "db_for_write(library.Book); no router was asked about library.Tag" in text
        assert "passed on. No router was asked about library.Tag here." in text

        with RouteTrace("t", root=tmp_path) as route_trace:
            book.tags.create(name="copper")
            with pytest.raises(AssertionError) as failure:
                route_trace.assert_no_queries("primary")
        assert "db_for_write(library.Book); no router was asked about library.Tag" in str(failure.value)

    def test_the_redacted_message_of_a_finding_says_it(self):
        found = replace(a_finding("missing-table", 1, 2), level=Level.ERROR)
        error = "OperationalError: no such table: shop_record"
        failed = record(sql="SELECT * FROM shop_record", error=error, error_code=1)
        shown = redact_trace(a_trace(events=[poll(), failed], findings=[found]))
        assert "No router was asked about shop.Record" in shown.findings[0].message
        assert redact_trace(shown) == shown
