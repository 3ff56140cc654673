"""Models with every kind of relation that routes differently."""

from __future__ import annotations

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models


class Author(models.Model):  # noqa: DJ008
    name = models.CharField(max_length=50)
    mentor = models.ForeignKey("self", models.SET_NULL, null=True, related_name="pupils")


class Tag(models.Model):  # noqa: DJ008
    name = models.CharField(max_length=50, unique=True)


class Mark(models.Model):  # noqa: DJ008
    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.PositiveBigIntegerField()
    target = GenericForeignKey()


class Book(models.Model):  # noqa: DJ008
    title = models.CharField(max_length=50)
    author = models.ForeignKey(Author, models.CASCADE, related_name="books")
    tags = models.ManyToManyField(Tag, related_name="books")
    editors = models.ManyToManyField(Author, through="Edit", related_name="edited")
    marks = GenericRelation(Mark)


class Edit(models.Model):  # noqa: DJ008
    book = models.ForeignKey(Book, models.CASCADE)
    editor = models.ForeignKey(Author, models.CASCADE)
    note = models.CharField(max_length=50, default="")


class Novel(Book):  # noqa: DJ008
    pages = models.IntegerField(default=0)


class Loan(models.Model):  # noqa: DJ008
    book = models.OneToOneField(Book, models.CASCADE, related_name="loan")
    days = models.IntegerField(default=1)


class Classic(Book):  # noqa: DJ008
    class Meta:
        proxy = True


class Entry(models.Model):  # noqa: DJ008
    """What a receiver writes with the ``using`` that it was given, as an audit log does."""

    text = models.CharField(max_length=50)
