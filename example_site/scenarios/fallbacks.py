"""When no router has an opinion, Django goes where the object came from."""

from __future__ import annotations

from example_site.library.models import Book
from example_site.notes.models import Note
from example_site.scenarios.registry import scenario


def one_note_on_kindred():
    book = Book.objects.using("archive").get(title="Kindred")
    Note.objects.using("archive").filter(book_id=book.pk).delete()
    Note.objects.using("archive").create(text="Signed by the author.", book_id=book.pk)


@scenario(
    7,
    "An object sticks to its database",
    shows="No router claims notes. Reading, saving and deleting one is settled by the instance in the hint.",
    findings={"write-by-fallback"},
    prepare=one_note_on_kindred,
)
def sticky():
    book = Book.objects.using("archive").get(title="Kindred")

    note = book.notes.get()
    yield f"The note was read from {note._state.db}, because its book was"

    note.text = "Signed by the author, on the title page."
    note.save()
    yield f"It was saved on {note._state.db}, because it was read there"

    note.delete()
    yield "And it was deleted there"


def no_new_notes():
    Note.objects.using("archive").filter(text="Lent to Ford Prefect.").delete()


@scenario(
    33,
    "Assigning a relation binds a new object",
    shows="note.book = book asks where the note belongs, and the hint, the book, settles it.",
    findings={"write-by-fallback"},
    prepare=no_new_notes,
)
def bound_by_assignment():
    book = Book.objects.using("archive").get(title="Kindred")

    note = Note(text="Lent to Ford Prefect.")
    yield f"A new note is on {note._state.db}"

    note.book = book
    yield f"Assigning a book from {book._state.db} bound it to {note._state.db}"

    note.save()
    yield f"It was saved on {note._state.db}"
