from __future__ import annotations

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class FewIterations(PBKDF2PasswordHasher):
    """Django's default, without the time that it is meant to take."""

    iterations = 1000
