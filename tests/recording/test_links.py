"""Each query's decision is found exactly, in cases in which the latest decision before it is another one."""

from __future__ import annotations

import copy
import json
import pickle
import random

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, models, router, transaction

from dbroute_panel.recording.traces import trace
from example_site.library.models import Book, Person, Review, Tag
from example_site.notes.models import Note
from example_site.users.models import User


class OneHome:
    """Everything is on the primary, reads and writes."""

    def db_for_read(self, model, **hints):
        return "primary"

    db_for_write = db_for_read


def by_id(t):
    return {decision.id: decision for decision in t.decisions}


def test_using_right_after_a_decision_with_the_same_answer_is_explicit(recorded, ask):
    ask(OneHome())
    assert router.db_for_read(Book) == "primary"
    list(Book.objects.using("primary"))
    [query] = recorded.queries
    assert (query.decision_id, query.route) == (None, "explicit")
    assert len(recorded.decisions) == 1


def test_assigning_a_relation_asks_but_save_using_is_explicit(recorded, ask):
    ask(OneHome())
    person = Person.objects.using("primary").first()
    book = Book(title="New")
    book.author = person
    book.save(using="primary")
    assigned, _relation = recorded.decisions
    assert (assigned.action, assigned.model, assigned.answer) == ("db_for_write", "library.Book", "primary")
    _read, insert = recorded.queries
    assert (insert.operation, insert.decision_id, insert.route) == ("INSERT", None, "explicit")


def test_an_object_bound_by_assignment_tells_which_decision_bound_it(recorded):
    person = Person.objects.first()
    book = Book(title="New")
    book.author = person
    book.save()
    _, bound, relation, asked = recorded.decisions
    assert recorded.queries[-1].instance.origin_id == bound.id
    assert (bound.action, relation.action) == ("db_for_write", "allow_relation")
    assert asked.hints["instance"].state_db == "primary"
    assert asked.hints["instance"].origin_id == bound.id
    assert recorded.queries[-1].decision_id == asked.id


def test_bulk_create_links_its_insert_to_the_question_that_chose_its_alias(recorded):
    person = Person.objects.using("primary").first()
    asked_before = len(recorded.decisions)
    Book.objects.bulk_create([Book(title=str(i), author=person) for i in range(3)])
    decisions = recorded.decisions[asked_before:]
    assert len(decisions) > 1  # 5.2 asks 8 times, 6.1 asks 6 times, in between and afterwards too
    [insert] = [query for query in recorded.queries if query.operation == "INSERT"]
    linked = by_id(recorded)[insert.decision_id]
    assert (linked.action, linked.model, insert.route) == ("db_for_write", "library.Book", "router")
    assert insert.model == "library.Book"


def test_two_answers_of_a_random_router_before_one_query(recorded):
    random.seed(1)
    first = Book.objects.all().db
    while (second := router.db_for_read(Book)) == first:
        pass
    while (third := router.db_for_read(Book)) != first:
        pass
    list(Book.objects.using(second))
    [query] = recorded.queries
    assert query.alias == second
    assert by_id(recorded)[query.decision_id].answer == second
    assert query.decision_id == recorded._recorder.answers[id(second)] != recorded.decisions[-1].id
    assert third == first


def test_lazy_querysets_that_are_asked_in_one_order_and_run_in_another(recorded, ask):
    ask(OneHome())
    books = Book.objects.using(router.db_for_read(Book))
    people = Person.objects.using(router.db_for_read(Person))
    tags = Tag.objects.using(router.db_for_read(Tag))
    list(tags), list(books), list(people)
    assert [query.model for query in recorded.queries] == ["library.Tag", "library.Book", "library.Person"]
    assert [by_id(recorded)[q.decision_id].model for q in recorded.queries] == [
        q.model for q in recorded.queries
    ]


def test_an_object_read_in_one_trace_and_saved_in_the_next(site, ask):
    ask()
    with trace("first", keep=False) as first:
        note = Note.objects.using(router.db_for_write(Note, instance=Note.objects.using("archive").first()))
        note = note.get(pk=1)
    assert type(note._state.db) is str
    with trace("second", keep=False) as second:
        router.db_for_read(Book)
        note.save()
        note.save(using=note._state.db)
    [_, asked] = second.decisions
    assert asked.decided_by == "instance"
    assert asked.hints["instance"].state_db == "archive"
    assert asked.hints["instance"].origin_id is None
    update, again = second.queries
    assert (update.decision_id, update.route) == (asked.id, "instance")
    # The first save() put its own answer into the object.
    assert (again.decision_id, again.route) == (asked.id, "instance")
    assert first.id != second.id


def test_an_alias_of_an_earlier_trace_counts_as_plain(site):
    with trace("first", keep=False):
        alias = router.db_for_write(Book)
    with trace("second", keep=False) as second:
        list(Book.objects.using(alias))
    assert (second.queries[0].decision_id, second.queries[0].route) == (None, "explicit")


@pytest.mark.parametrize(
    "through",
    [
        lambda alias: pickle.loads(pickle.dumps(alias)),
        lambda alias: json.loads(json.dumps(alias)),
        lambda alias: "".join(list(alias)),
        lambda alias: alias.encode().decode(),
    ],
    ids=["pickle", "json", "join", "encode"],
)
def test_an_alias_of_which_another_string_was_made_is_plain(recorded, through):
    list(Book.objects.using(through(router.db_for_write(Book))))
    assert (recorded.queries[0].decision_id, recorded.queries[0].route) == (None, "explicit")


@pytest.mark.parametrize("through", [copy.copy, copy.deepcopy, str])
def test_what_python_copies_of_a_string_is_the_string(recorded, through):
    list(Book.objects.using(through(router.db_for_write(Book))))
    assert (recorded.queries[0].decision_id, recorded.queries[0].route) == (1, "router")


def test_an_object_that_was_pickled_forgets_its_decision_but_not_its_database(recorded, ask):
    ask()
    note = Note.objects.using("archive").first()
    note.save()
    note = pickle.loads(pickle.dumps(note))
    note.save()
    assert [d.hints["instance"].origin_id for d in recorded.decisions] == [None, None]
    assert [d.hints["instance"].state_db for d in recorded.decisions] == ["archive", "archive"]


def test_an_alias_passed_on_by_hand_stays_linked(recorded):
    list(Book.objects.using(router.db_for_write(Book)))
    book = Book.objects.first()
    list(Tag.objects.using(book._state.db))
    one, two, three = recorded.queries
    asked, read = recorded.decisions
    assert [q.decision_id for q in (one, two, three)] == [asked.id, read.id, read.id]


def test_an_instance_tells_which_decision_its_alias_comes_from(recorded, ask):
    ask("example_site.routers.PrimaryReplicaRouter")
    book = Book.objects.first()
    book.author  # noqa: B018
    read, related = recorded.decisions
    assert related.hints["instance"].origin_id == read.id
    assert related.hints["instance"].state_db == read.answer
    assert recorded.queries[1].decision_id == related.id


def test_the_same_answer_to_two_threads_is_two_links(recorded, ask):
    import contextvars
    import threading

    ask(OneHome())
    barrier = threading.Barrier(2)

    def read():
        books = Book.objects.using(router.db_for_read(Book))
        barrier.wait()
        list(books)
        connections.close_all()

    threads = [threading.Thread(target=contextvars.copy_context().run, args=(read,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {q.decision_id for q in recorded.queries} == {d.id for d in recorded.decisions} == {1, 2}


# Routes


def test_every_route_there_is(recorded, ask):
    ask("example_site.routers.PrimaryReplicaRouter")
    Book.objects.count()
    note = Note.objects.using("archive").first()
    note.save()
    with pytest.raises(ImproperlyConfigured):
        Note.objects.count()
    with connections["primary"].cursor() as cursor:
        cursor.execute("SELECT 1")
    with connections["primary"].schema_editor() as editor:
        editor.execute("CREATE TABLE made (id integer)")
    routes = [(query.route.value, query.decision_id is None) for query in recorded.queries]
    assert routes[:4] == [("router", False), ("explicit", True), ("instance", False), ("cursor", True)]
    assert set(routes[4:]) == {("schema", True)}
    assert [q.sql for q in recorded.queries[4:] if q.operation != "PRAGMA"] == [
        "CREATE TABLE made (id integer)"
    ]


def test_a_query_that_default_settled(recorded, ask, monkeypatch):
    ask()
    monkeypatch.setitem(connections.settings, "default", connections.settings["archive"])
    del connections["default"]
    Note.objects.count()
    connections["default"].close()
    del connections["default"]
    [query], [decision] = recorded.queries, recorded.decisions
    assert (query.route, query.decision_id, query.alias) == ("default", decision.id, "default")


def test_save_using_manager_and_db_manager_are_explicit(recorded):
    User(username="x").save(using="new_users")
    User.objects.db_manager("new_users").create_user("y")
    User.objects.using("new_users").filter(username="x").delete()
    assert {query.route.value for query in recorded.queries} == {"explicit"}
    assert recorded.decisions == []


def test_raw_is_linked_and_knows_its_model(recorded):
    books = list(Book.objects.raw("SELECT * FROM library_book WHERE id > %s", [2]))
    assert books
    [query] = recorded.queries
    linked = by_id(recorded)[query.decision_id]
    assert (linked.model, linked.answer) == ("library.Book", query.alias)
    assert (query.model, query.route, query.params) == ("library.Book", "router", ("2",))


def test_the_columns_of_raw_are_a_query_of_the_same_kind(recorded):
    assert "title" in Book.objects.using("archive").raw("SELECT * FROM library_book").columns
    [query] = recorded.queries
    assert (query.model, query.route) == ("library.Book", "explicit")


def test_related_managers_and_prefetches_are_linked(recorded):
    book = Book.objects.prefetch_related("tags", "author").first()
    list(book.reviews.all())
    book.tags.add(Tag.objects.using("primary").create(name="new"))
    linked = [query for query in recorded.queries if query.route != "explicit"]
    assert len(linked) > 5
    for query in linked:
        assert by_id(recorded)[query.decision_id].answer == query.alias
    through = [q for q in linked if q.model == "library.Book_tags"]
    assert {by_id(recorded)[q.decision_id].action.value for q in through if q.writes} == {"db_for_write"}


def test_get_or_create_reads_and_writes_by_their_own_decisions(recorded):
    Tag.objects.get_or_create(name="unheard of")
    operations = {
        q.operation: by_id(recorded)[q.decision_id].action.value for q in recorded.queries if q.decision_id
    }
    assert operations == {"SELECT": "db_for_write", "INSERT": "db_for_write"}


def test_deleting_and_updating_are_linked(recorded):
    review = Review.objects.using("primary").first()
    Review.objects.filter(pk=review.pk).update(text="new")
    review.delete()
    update, delete = [q for q in recorded.queries if q.writes]
    assert [by_id(recorded)[q.decision_id].action.value for q in (update, delete)] == ["db_for_write"] * 2
    assert (update.operation, delete.operation) == ("UPDATE", "DELETE")


# The connection that an answer makes


def test_the_alias_of_a_connection_is_plain_once_it_is_connected(recorded):
    alias = router.db_for_write(Book)
    connection = connections[alias]
    with connection.cursor():
        pass
    assert (type(connection.alias), connection.alias) == (str, "primary")
    assert connection.alias is not alias
    list(Book.objects.using(connection.alias))
    assert (recorded.queries[0].decision_id, recorded.queries[0].route) == (None, "explicit")


def test_atomic_with_an_alias_of_a_router_works(recorded):
    with transaction.atomic(using=router.db_for_write(Book)):
        Book.objects.using("primary").update(year=2000)
    assert [t.operation.value for t in recorded.transactions] == ["begin", "commit"]
    assert {type(t.alias) for t in recorded.transactions} == {str}


# save()


def test_the_object_that_is_saved_is_kept_as_it_was_before(recorded):
    book = Book.objects.using("archive").first()
    book.title = "New"
    book.save(using="primary")
    update = recorded.queries[-1]
    assert update.operation == "UPDATE"
    assert (update.instance.model, update.instance.pk) == ("library.Book", str(book.pk))
    assert (update.instance.state_db, update.instance.adding) == ("archive", False)
    assert book._state.db == "primary"


def test_a_new_object_is_kept_as_it_was_before(recorded):
    tag = Tag(name="new")
    tag.save()
    [insert] = recorded.queries
    assert (insert.instance.pk, insert.instance.state_db, insert.instance.adding) == (None, None, True)
    assert tag.pk is not None


def test_update_delete_and_bulk_create_have_no_instance(recorded):
    Tag.objects.update(name="x")
    Tag.objects.bulk_create([Tag(name="y")])
    Tag.objects.using("primary").last().delete()
    assert {query.instance for query in recorded.queries} == {None}


def test_force_insert_and_a_second_query_of_one_save_have_the_instance(recorded):
    tag = Tag(pk=4711, name="x")
    tag.save(using="primary")  # UPDATE, then INSERT
    update, insert = recorded.queries
    assert (update.operation, insert.operation, update.rowcount) == ("UPDATE", "INSERT", 0)
    assert update.instance == insert.instance
    assert (insert.instance.pk, insert.instance.adding) == ("4711", True)


def test_multi_table_inheritance_saves_each_table_of_one_object(table, site):
    class Anthology(Book):
        volumes = models.IntegerField(default=1)

        class Meta:
            app_label = "library"

    table("primary", Anthology)
    person = Person.objects.using("primary").first()
    anthology = Anthology(title="All", author=person)
    with trace("test", keep=False) as t:
        anthology.save()
        anthology.save()
    inserts = [q for q in t.queries if q.operation == "INSERT"]
    assert [q.model for q in inserts] == ["library.Book", "library.Anthology"]
    assert [(q.instance.model, q.instance.adding) for q in inserts] == [("library.Anthology", True)] * 2
    # Django has set the key in between.
    assert [q.instance.pk for q in inserts] == [None, str(anthology.pk)]
    updates = [q for q in t.queries if q.operation == "UPDATE"]
    assert {(q.instance.pk, q.instance.state_db, q.instance.adding) for q in updates} == {
        (str(anthology.pk), "primary", False)
    }


def test_a_query_that_a_field_sends_while_an_object_is_saved_is_not_that_save(table, site):
    class Numbered(models.IntegerField):
        def pre_save(self, instance, add):
            return User.objects.using("legacy_users").count()

    class Numbering(models.Model):  # noqa: DJ008
        number = Numbered()

        class Meta:
            app_label = "library"

    table("primary", Numbering)
    with trace("test", keep=False) as t:
        Numbering().save(using="primary")
    *counts, insert = t.queries  # 6.1 calls pre_save() twice
    assert {(count.model, count.instance) for count in counts} == {("users.User", None)}
    assert (insert.model, insert.instance.model) == ("library.Numbering", "library.Numbering")
