"""
What a program is made of: calls of the ORM, each a function of the shelf and two numbers.

Each does what an application does, and returns what the application would get. An exception is a result, too.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib.contenttypes.models import ContentType
from django.db import connections, models, router, transaction
from django.db.models import Count, Exists, F, OuterRef, Prefetch, Subquery, Value
from django.db.models.functions import Concat

from tests.fuzz.models import Author, Book, Classic, Edit, Entry, Loan, Mark, Novel, Tag
from tests.fuzz.settings import NAMED

OPERATIONS: dict[str, Callable[[Shelf, int, int], Any]] = {}


class Shelf:
    """The objects that a program holds; a number picks one of them, whatever it is."""

    def __init__(self) -> None:
        self.books: list[Any] = []
        self.authors: list[Any] = []
        self.tags: list[Any] = []

    def book(self, number: int) -> Any:
        if not self.books:
            self.books.extend(Book.objects.order_by("pk")[:3])
        return self.books[number % len(self.books)]

    def author(self, number: int) -> Any:
        if not self.authors:
            self.authors.extend(Author.objects.order_by("pk")[:3])
        return self.authors[number % len(self.authors)]

    def tag(self, number: int) -> Any:
        if not self.tags:
            self.tags.extend(Tag.objects.order_by("pk")[:3])
        return self.tags[number % len(self.tags)]

    def keep(self, obj: Any) -> Any:
        for kind, objects in ((Book, self.books), (Author, self.authors), (Tag, self.tags)):
            if isinstance(obj, kind):
                objects.append(obj)
        return obj


def operation(function: Callable[[Shelf, int, int], Any]) -> Callable[[Shelf, int, int], Any]:
    OPERATIONS[function.__name__] = function
    return function


def named(number: int) -> str:
    """An alias that the code names."""
    return NAMED[number % len(NAMED)]


# Reading.


@operation
def get_one(shelf: Shelf, a: int, b: int) -> Any:
    return shelf.keep(Book.objects.get(pk=1 + a % 4))


@operation
def list_all(shelf: Shelf, a: int, b: int) -> Any:
    return [shelf.keep(book) for book in Book.objects.order_by("pk")[a % 3 : 4]]


@operation
def evaluate_twice(shelf: Shelf, a: int, b: int) -> Any:
    books = Book.objects.filter(pk__gt=a % 3)
    return [len(books), bool(books), books.count(), books.exists(), books.all().first()]


@operation
def named_read(shelf: Shelf, a: int, b: int) -> Any:
    return shelf.keep(Author.objects.using(named(b)).filter(pk__gte=a % 3).first())


@operation
def manager_of_alias(shelf: Shelf, a: int, b: int) -> Any:
    return shelf.keep(Book.objects.db_manager(named(b)).get(pk=1 + a % 4))


@operation
def alias_passed_on(shelf: Shelf, a: int, b: int) -> Any:
    return list(Tag.objects.using(shelf.book(a)._state.db).values_list("pk", flat=True))


@operation
def aggregates(shelf: Shelf, a: int, b: int) -> Any:
    return [
        Book.objects.aggregate(n=Count("pk")),
        list(Author.objects.annotate(n=Count("books")).values("n")),
    ]


@operation
def values(shelf: Shelf, a: int, b: int) -> Any:
    return [
        list(Book.objects.values("title")),
        list(Book.objects.values_list("pk", "author__name", named=False)),
    ]


@operation
def iterate(shelf: Shelf, a: int, b: int) -> Any:
    return [book.title for book in Book.objects.order_by("pk").iterator(chunk_size=1 + a % 2)]


@operation
def iterate_a_part(shelf: Shelf, a: int, b: int) -> Any:
    found = Book.objects.order_by("pk").iterator(chunk_size=1)
    return [next(found).pk for _turn in range(1 + a % 2)]


@operation
def in_bulk(shelf: Shelf, a: int, b: int) -> Any:
    return sorted(Book.objects.in_bulk([1, 2 + a % 3]))


@operation
def raw(shelf: Shelf, a: int, b: int) -> Any:
    books = Book.objects.raw("SELECT * FROM fuzz_book WHERE id > %s", [a % 3])
    return [books.db if a % 2 else None, [shelf.keep(book) for book in books]]


@operation
def raw_deferred(shelf: Shelf, a: int, b: int) -> Any:
    return [(author.pk, author.name) for author in Author.objects.raw("SELECT id FROM fuzz_author")]


@operation
def cursor(shelf: Shelf, a: int, b: int) -> Any:
    with connections[named(b)].cursor() as found:
        found.execute("SELECT id FROM fuzz_tag WHERE id > %s", [a % 3])
        return found.fetchall()


@operation
def select_related(shelf: Shelf, a: int, b: int) -> Any:
    book = Book.objects.select_related("author__mentor").get(pk=1 + a % 4)
    return [shelf.keep(book), shelf.keep(book.author), book.author.mentor]


@operation
def prefetch(shelf: Shelf, a: int, b: int) -> Any:
    books = list(Book.objects.order_by("pk").prefetch_related("tags", "author", "marks", "editors"))
    return [[shelf.keep(book), list(book.tags.all()), book.author, list(book.marks.all())] for book in books]


@operation
def prefetch_queryset(shelf: Shelf, a: int, b: int) -> Any:
    tags = Tag.objects.using(named(b)) if a % 2 else Tag.objects.order_by("name")
    authors = Author.objects.prefetch_related(
        Prefetch("books", Book.objects.prefetch_related(Prefetch("tags", tags)))
    )
    return [[list(book.tags.all()) for book in author.books.all()] for author in authors]


@operation
def prefetch_later(shelf: Shelf, a: int, b: int) -> Any:
    models.prefetch_related_objects([shelf.book(a), shelf.book(b)], "author", "tags")
    return shelf.book(a).author


@operation
def fetch_peers(shelf: Shelf, a: int, b: int) -> Any:
    """Since Django 6.1: a deferred field of one object is fetched for all."""
    mode = getattr(models, "FETCH_PEERS", None)
    books = Book.objects.order_by("pk").defer("title")
    if mode is not None:
        books = books.fetch_mode(mode)
    return [[book.title, book.author] for book in books]


@operation
def deferred(shelf: Shelf, a: int, b: int) -> Any:
    book = Book.objects.only("pk").get(pk=1 + a % 4)
    return [book.title, book.author_id]


@operation
def subqueries(shelf: Shelf, a: int, b: int) -> Any:
    tags = Tag.objects.filter(books=OuterRef("pk"))
    found = Book.objects.annotate(t=Subquery(tags.values("name")[:1]), e=Exists(tags))
    return [
        list(found.values("t", "e")),
        list(Author.objects.filter(books__in=Book.objects.filter(pk__gt=a % 3))),
    ]


@operation
def subquery_of_another_alias(shelf: Shelf, a: int, b: int) -> Any:
    return list(Author.objects.using(named(a)).filter(books__in=Book.objects.using(named(b))))


@operation
def union(shelf: Shelf, a: int, b: int) -> Any:
    return list(Book.objects.filter(pk=1).union(Book.objects.filter(pk=2 + a % 2)).order_by("pk"))


@operation
def ends(shelf: Shelf, a: int, b: int) -> Any:
    return [
        Book.objects.first(),
        Book.objects.last(),
        Book.objects.earliest("pk"),
        Book.objects.latest("title"),
    ]


@operation
def distinct_and_explain(shelf: Shelf, a: int, b: int) -> Any:
    return [Book.objects.distinct().count(), type(Book.objects.explain()).__name__]


@operation
def contains(shelf: Shelf, a: int, b: int) -> Any:
    return Book.objects.filter(pk__gt=0).contains(shelf.book(a))


@operation
def locked(shelf: Shelf, a: int, b: int) -> Any:
    with transaction.atomic(named(b)):
        return shelf.keep(Author.objects.using(named(b)).select_for_update().first())


@operation
def asynchronous(shelf: Shelf, a: int, b: int) -> Any:
    async def work() -> Any:
        book = await Book.objects.aget(pk=1 + a % 4)
        await book.asave()
        return [book, await Book.objects.acount(), [tag.pk async for tag in book.tags.all()]]

    return async_to_sync(work)()


# Along relations.


@operation
def forward(shelf: Shelf, a: int, b: int) -> Any:
    return shelf.keep(shelf.book(a).author)


@operation
def forward_twice(shelf: Shelf, a: int, b: int) -> Any:
    mentor = shelf.author(a).mentor
    return [mentor, mentor and mentor.mentor]


@operation
def reverse(shelf: Shelf, a: int, b: int) -> Any:
    author = shelf.author(a)
    return [list(author.books.all()), author.books.count(), list(author.pupils.filter(pk__gt=b % 3))]


@operation
def reverse_one(shelf: Shelf, a: int, b: int) -> Any:
    return shelf.book(a).loan


@operation
def reverse_create(shelf: Shelf, a: int, b: int) -> Any:
    return shelf.keep(shelf.author(a).books.create(title=f"reverse {b}"))


@operation
def reverse_add(shelf: Shelf, a: int, b: int) -> Any:
    return shelf.author(a).books.add(shelf.book(b), bulk=bool(b % 2))


@operation
def reverse_set(shelf: Shelf, a: int, b: int) -> Any:
    return shelf.author(a).pupils.set([shelf.author(b)])


@operation
def reverse_get_or_create(shelf: Shelf, a: int, b: int) -> Any:
    return shelf.author(a).books.get_or_create(title=f"reverse {b % 3}")


@operation
def many_read(shelf: Shelf, a: int, b: int) -> Any:
    return [list(shelf.book(a).tags.all()), shelf.tag(b).books.exists()]


@operation
def many_add(shelf: Shelf, a: int, b: int) -> Any:
    return shelf.book(a).tags.add(shelf.tag(b), shelf.tag(b + 1))


@operation
def many_remove(shelf: Shelf, a: int, b: int) -> Any:
    return shelf.book(a).tags.remove(shelf.tag(b))


@operation
def many_set(shelf: Shelf, a: int, b: int) -> Any:
    return shelf.book(a).tags.set([shelf.tag(b)], clear=bool(b % 2))


@operation
def many_clear(shelf: Shelf, a: int, b: int) -> Any:
    return shelf.tag(a).books.clear()


@operation
def many_create(shelf: Shelf, a: int, b: int) -> Any:
    return shelf.keep(shelf.book(a).tags.create(name=f"new {a} {b}"))


@operation
def through(shelf: Shelf, a: int, b: int) -> Any:
    shelf.book(a).editors.add(shelf.author(b), through_defaults={"note": "x"})
    return [list(Edit.objects.filter(book=shelf.book(a))), list(shelf.book(a).editors.all())]


@operation
def generic(shelf: Shelf, a: int, b: int) -> Any:
    return [mark.target for mark in Mark.objects.order_by("pk")[: 1 + a % 2]]


@operation
def generic_prefetch(shelf: Shelf, a: int, b: int) -> Any:
    return [mark.target for mark in Mark.objects.prefetch_related("target", "content_type")]


@operation
def generic_create(shelf: Shelf, a: int, b: int) -> Any:
    return [shelf.book(a).marks.create(), Mark.objects.create(target=shelf.author(b))]


@operation
def generic_update(shelf: Shelf, a: int, b: int) -> Any:
    return shelf.book(a).marks.update(object_id=F("object_id"))


# Writing.


@operation
def create(shelf: Shelf, a: int, b: int) -> Any:
    return shelf.keep(Book.objects.create(title=f"new {a}", author=shelf.author(b)))


@operation
def save_new(shelf: Shelf, a: int, b: int) -> Any:
    author = Author(name=f"saved {a}")
    author.save()
    return shelf.keep(author)


@operation
def save_again(shelf: Shelf, a: int, b: int) -> Any:
    book = shelf.book(a)
    book.title = f"changed {b}"
    return book.save()


@operation
def save_fields(shelf: Shelf, a: int, b: int) -> Any:
    return shelf.book(a).save(update_fields=["title"])


@operation
def save_expression(shelf: Shelf, a: int, b: int) -> Any:
    """Since Django 6.0 with ``UPDATE ... RETURNING``."""
    book = shelf.book(a)
    book.title = Concat(F("title"), Value("!"))
    book.save()
    title = book.title
    book.title = "plain"
    return title if isinstance(title, str) else None


@operation
def save_elsewhere(shelf: Shelf, a: int, b: int) -> Any:
    return shelf.book(a).save(using=named(b))


@operation
def save_forced(shelf: Shelf, a: int, b: int) -> Any:
    return shelf.author(a).save(force_update=True)


@operation
def child(shelf: Shelf, a: int, b: int) -> Any:
    novel = Novel.objects.create(title=f"novel {a}", author=shelf.author(b), pages=3)
    novel.pages += 1
    novel.save()
    return [novel, novel.book_ptr, Novel.objects.filter(title__startswith="novel").update(title="n", pages=5)]


@operation
def proxy(shelf: Shelf, a: int, b: int) -> Any:
    return [Classic.objects.count(), Classic.objects.filter(pk=1 + a % 4).update(title=f"classic {b}")]


@operation
def one_to_one(shelf: Shelf, a: int, b: int) -> Any:
    loan, made = Loan.objects.get_or_create(book=shelf.book(a))
    return [made, loan.book]


@operation
def update(shelf: Shelf, a: int, b: int) -> Any:
    return Book.objects.filter(pk__gt=a % 4).update(title=F("title"))


@operation
def update_by_relation(shelf: Shelf, a: int, b: int) -> Any:
    return Book.objects.filter(author__name__contains="a", tags__pk__gt=a % 3).update(title="related")


@operation
def get_or_create(shelf: Shelf, a: int, b: int) -> Any:
    tag, made = Tag.objects.get_or_create(name=f"tag {a % 4}")
    return [shelf.keep(tag), made]


@operation
def update_or_create(shelf: Shelf, a: int, b: int) -> Any:
    return Author.objects.update_or_create(name=f"author {a % 4}", defaults={"mentor": shelf.author(b)})


@operation
def bulk_create(shelf: Shelf, a: int, b: int) -> Any:
    made = Author.objects.bulk_create([Author(name="bulk"), Author(name="more")], batch_size=1 + a % 2)
    return [shelf.keep(author) for author in made]


@operation
def bulk_create_conflicts(shelf: Shelf, a: int, b: int) -> Any:
    tags = [Tag(name=f"tag {number}") for number in range(a % 5)]
    if b % 2:
        return Tag.objects.bulk_create(tags, ignore_conflicts=True)
    return Tag.objects.bulk_create(
        tags, update_conflicts=True, unique_fields=["name"], update_fields=["name"]
    )


@operation
def bulk_update(shelf: Shelf, a: int, b: int) -> Any:
    return Book.objects.bulk_update([shelf.book(a), shelf.book(b)], ["title"], batch_size=1 + a % 2)


@operation
def violate(shelf: Shelf, a: int, b: int) -> Any:
    return Tag.objects.create(name="tag 1")


@operation
def clean(shelf: Shelf, a: int, b: int) -> Any:
    return Tag(name=f"tag {a % 5}").full_clean()


@operation
def delete(shelf: Shelf, a: int, b: int) -> Any:
    book = shelf.book(a)
    shelf.books = [each for each in shelf.books if each is not book]
    return book.delete()


@operation
def delete_author(shelf: Shelf, a: int, b: int) -> Any:
    return Author.objects.create(name="gone").delete()


@operation
def delete_queryset(shelf: Shelf, a: int, b: int) -> Any:
    return Tag.objects.filter(name__startswith="new", pk__gt=a % 3).delete()


@operation
def delete_cascade(shelf: Shelf, a: int, b: int) -> Any:
    return Book.objects.filter(title__startswith=("new", "reverse", "n")[a % 3]).delete()


@operation
def delete_fast(shelf: Shelf, a: int, b: int) -> Any:
    return Entry.objects.filter(pk__gt=a % 3).delete()


@operation
def refresh(shelf: Shelf, a: int, b: int) -> Any:
    book = shelf.book(a)
    book.refresh_from_db(**({"using": named(b)} if b % 2 else {"fields": ["title"]} if a % 2 else {}))
    return book


@operation
def atomic(shelf: Shelf, a: int, b: int) -> Any:
    with transaction.atomic(), transaction.atomic(using=named(b)):
        return [save_again(shelf, a, b), list_all(shelf, a, b)]


@operation
def after_commit(shelf: Shelf, a: int, b: int) -> Any:
    counts: list[int] = []
    with transaction.atomic(using=named(b)):
        transaction.on_commit(lambda: counts.append(Entry.objects.count()), using=named(b))
    return counts


# Around the ORM.


@operation
def ask(shelf: Shelf, a: int, b: int) -> Any:
    """An alias that the code asked for and hands on, as Django's cache in a database does."""
    alias = router.db_for_read(Book)
    with connections[alias].cursor() as found:
        found.execute("SELECT count(*) FROM fuzz_book")
        return [alias, type(alias), found.fetchone(), Author.objects.using(alias).count()]


@operation
def ask_about_another(shelf: Shelf, a: int, b: int) -> Any:
    return [
        router.allow_relation(shelf.book(a), shelf.author(b)),
        router.db_for_write(Tag, instance=shelf.tag(b)),
    ]


@operation
def pickled(shelf: Shelf, a: int, b: int) -> Any:
    book = pickle.loads(pickle.dumps(shelf.book(a)))
    return [book._state.db, type(book._state.db), book.title]


@operation
def copied(shelf: Shelf, a: int, b: int) -> Any:
    book = copy.deepcopy(shelf.book(a)) if b % 2 else copy.copy(shelf.book(a))
    return [book._state.db, type(book._state.db), book.author.pk]


@operation
def pickled_queryset(shelf: Shelf, a: int, b: int) -> Any:
    return list(pickle.loads(pickle.dumps(Book.objects.filter(pk=1 + a % 4))))


@operation
def content_types(shelf: Shelf, a: int, b: int) -> Any:
    return [ContentType.objects.get_for_model(Tag), ContentType.objects.get_for_id(1 + a % 2)]


@operation
def wrapped(shelf: Shelf, a: int, b: int) -> Any:
    """A library's execute wrapper that sends a statement of its own on another alias."""
    seen: list[str] = []

    def audit(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if not seen:
            seen.append(sql)
            with connections[named(b)].cursor() as other:
                other.execute("SELECT 1")
        return result

    book = shelf.book(a)
    with connections[book._state.db].execute_wrapper(audit):
        return [list(Book.objects.using(book._state.db)), seen]


@operation
def outermost_wrapper(shelf: Shelf, a: int, b: int) -> Any:
    """A wrapper that stands outside of all others."""

    def guard(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        return execute(sql, params, many, context)

    wrappers = connections[named(b)].execute_wrappers
    wrappers.insert(0, guard)
    try:
        return list(Author.objects.using(named(b)))
    finally:
        wrappers.remove(guard)


@operation
def expression_that_queries(shelf: Shelf, a: int, b: int) -> Any:
    """An expression of a library's that looks something up while the statement is put together."""

    class Looked(Value):
        def as_sql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
            with connections[named(b)].cursor() as other:
                other.execute("SELECT 2")
            return super().as_sql(compiler, connection, **extra)

    looked = Looked("x", output_field=models.CharField())
    return [
        list(Book.objects.annotate(x=looked).values("x")),
        Entry.objects.filter(pk=-1).update(text=looked),
    ]
