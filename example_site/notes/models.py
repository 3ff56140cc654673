"""Notes on books. No router claims them; their table is on the archive alone."""

from __future__ import annotations

from django.db import models

from example_site.library.models import Book


class Note(models.Model):
    text = models.CharField(max_length=200)
    # The books of the primary have no notes beside them, so that deleting one must not look for any.
    book = models.ForeignKey(
        Book, on_delete=models.DO_NOTHING, db_constraint=False, null=True, blank=True, related_name="notes"
    )

    def __str__(self) -> str:
        return self.text
