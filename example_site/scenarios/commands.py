"""Management commands, and which database each one asks for and uses"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connections

from example_site.library.models import Tag
from example_site.scenarios.registry import scenario

# The replicas get their tables from the primary, and default is empty.
MIGRATED = ["auth_db", "primary", "archive", "legacy_users", "new_users"]


def tables(alias):
    return set(connections[alias].introspection.table_names())


@scenario(
    4,
    "migrate, once per database",
    shows="Every allow_migrate question with who answered it, and the schema of each database.",
    kind="command",
    databases="empty",
)
def migrate_each():
    for alias in MIGRATED:
        call_command("migrate", database=alias, verbosity=0)
        yield f"{alias}: {', '.join(sorted(tables(alias)))}"


@scenario(
    5,
    "migrate without a database, while default is empty",
    shows="Django takes default and fails before the first query: no database is touched.",
    kind="command",
    databases="empty",
)
def migrate_nothing():
    try:
        call_command("migrate", verbosity=0)
    except ImproperlyConfigured as error:
        yield f"ImproperlyConfigured: {error}"
    yield f"Files of databases: {[file.name for file in settings.DATA.glob('*.sqlite3')]}"


@scenario(
    6,
    "Commands with --database",
    shows="Each command runs its queries where it was told to; dumpdata asks the routers as well.",
    kind="command",
    databases="copy",
)
def with_a_database():
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder, "tags.json"))
        call_command("makemigrations", check=True, dry_run=True, verbosity=0)
        yield "makemigrations --check: nothing to do"
        call_command("dumpdata", "library.Tag", database="archive", output=file, verbosity=0)
        call_command("dumpdata", "library.Tag", database="primary", output=file, verbosity=0)
        yield f"dumpdata --database=primary: {Path(file).read_text().count('library.tag')} tags"
        call_command("loaddata", file, database="archive", verbosity=0)
        yield f"loaddata --database=archive: {Tag.objects.using('archive').count()} tags"
    call_command("flush", database="new_users", interactive=False, verbosity=0)
    yield f"flush --database=new_users: {connections['new_users'].introspection.table_names()}"
    call_command("createcachetable", "pages", database="archive", verbosity=0)
    yield f"createcachetable --database=archive: {sorted(tables('archive') & {'pages'})}"
    out = io.StringIO()
    call_command("inspectdb", "library_tag", database="replica1", stdout=out)
    yield f"inspectdb --database=replica1: {'class LibraryTag' in out.getvalue()}"


@scenario(
    31,
    "makemigrations looks at the history",
    shows="With routers on every database that one of them allows anything on; without, on default alone.",
    kind="command",
    settings=("example_site.settings", "example_site.variants.one_database"),
    databases="copy",
)
def history():
    yield f"DATABASE_ROUTERS = {settings.DATABASE_ROUTERS}"
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
    yield "makemigrations --check: nothing to do"


@scenario(
    32,
    "RunPython and RunSQL with hints",
    shows="The hints of an operation reach the routers, without a model: one keeps it to the primary.",
    kind="command",
    settings=("example_site.variants.hinted",),
    databases="copy",
)
def operations_with_hints():
    for alias in ("primary", "archive"):
        call_command("migrate", "data_migrations", database=alias, verbosity=0)
        names = Tag.objects.using(alias).filter(name__iexact="migrated").values_list("name", flat=True)
        yield f"{alias}: {list(names)}"
