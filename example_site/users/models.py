"""The readers, who are moving from ``legacy_users`` to ``new_users``."""

from __future__ import annotations

from django.db import models

from example_site.library.models import Book


class UserManager(models.Manager["User"]):
    def create_user(self, username: str, email: str = "") -> User:
        """A saved user, on the database that this manager is bound to."""
        user = self.model(username=username, email=email)
        user.save(using=self._db)
        return user


class User(models.Model):
    username = models.CharField(max_length=50)
    email = models.EmailField(blank=True)

    objects = UserManager()

    class Meta:
        verbose_name = "reader"
        ordering = ["username"]

    def __str__(self) -> str:
        return self.username


class Card(models.Model):
    """A library card: its user is on the same database."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="cards")
    number = models.CharField(max_length=20)

    def __str__(self) -> str:
        return self.number


class Loan(models.Model):
    """A loan: its book is on another database, where no constraint and no cascade reaches."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="loans")
    book = models.ForeignKey(Book, on_delete=models.DO_NOTHING, db_constraint=False, related_name="loans")

    def __str__(self) -> str:
        return f"Loan {self.pk}"
