"""
The sdist of django-multidb-router has tests, and no settings: one replica, and its router in force.

With two replicas its tests fail, which take ``get_replica()`` to be the next answer of the router.
"""

from __future__ import annotations

SECRET_KEY = "of the tests"
SQLITE = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
DATABASES = {"default": SQLITE, "replica": SQLITE | {"TEST": {"MIRROR": "default"}}}
REPLICA_DATABASES = ["replica"]
DATABASE_ROUTERS = ["multidb.PinningReplicaRouter"]
INSTALLED_APPS = ["multidb"]
