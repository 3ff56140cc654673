"""The library: read from the replicas, written to the primary, and once more on the archive."""

from __future__ import annotations

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.urls import reverse

from example_site.library.managers import ForgetfulManager, ThisCenturyManager


class Person(models.Model):
    name = models.CharField(max_length=100)

    class Meta:
        verbose_name_plural = "people"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Tag(models.Model):
    name = models.CharField(max_length=50)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Review(models.Model):
    """What somebody thinks of a book or of a person."""

    text = models.CharField(max_length=200)
    # The content types are on auth_db: no constraint can reach them from here.
    content_type = models.ForeignKey(ContentType, on_delete=models.CASCADE, db_constraint=False)
    object_id = models.BigIntegerField()
    about = GenericForeignKey("content_type", "object_id")

    def __str__(self) -> str:
        return self.text


class Book(models.Model):
    title = models.CharField(max_length=200)
    year = models.IntegerField(null=True, blank=True)
    author = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="books")
    tags = models.ManyToManyField(Tag, related_name="books", blank=True)
    reviews = GenericRelation(Review)

    objects = models.Manager()
    this_century = ThisCenturyManager()
    forgetful = ForgetfulManager()

    class Meta:
        ordering = ["title"]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("book", args=[self.pk])
