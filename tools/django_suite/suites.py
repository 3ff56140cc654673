"""The tests of Django's that are run: labels of ``runtests.py``."""

from __future__ import annotations

SHORT = [
    "multiple_database",
    "migrations.test_multidb",
    "admin_views.test_multidb",
    "transaction_hooks",
    "transactions",
    "select_for_update",
    "raw_query",
    "bulk_create",
    "get_or_create",
    "backends.base",
    "contenttypes_tests",
]
"""What is close to routing: for every run of the continuous integration."""

LONG = [
    "multiple_database",
    "migrations.test_multidb",
    "prefetch_related",
    "transactions",
    "transaction_hooks",
    "select_for_update",
    "raw_query",
    "bulk_create",
    "delete",
    "get_or_create",
    "backends",
    "test_utils",
    "admin_views.test_multidb",
    "contenttypes_tests",
    "sessions_tests",
    "auth_tests.test_management",
]
