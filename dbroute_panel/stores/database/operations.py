"""
The migration operation that makes the store's tables, also where the routers refuse unknown apps.

A router that refuses what it does not know makes ``migrate`` skip the tables and still note the migration as
applied. The project has named the alias for these tables in its settings, so there they are made; on
every other alias the routers decide, as they do for any app.
"""

from __future__ import annotations

from typing import Any, Final

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState
from django.db.models import Model

from dbroute_panel.conf import panel_settings

_FOREIGN_KEY: Final = (
    "ALTER TABLE {table} ADD CONSTRAINT {table}_of_trace "
    "FOREIGN KEY (trace_id) REFERENCES {traces} (n) ON DELETE CASCADE"
)
#: By vendor: deletes the rows of ``{table}`` with the trace that they belong to.
CASCADES: Final = {
    "postgresql": _FOREIGN_KEY,
    "mysql": _FOREIGN_KEY,
    # SQLite can add no constraint to a table that is there.
    "sqlite": (
        "CREATE TRIGGER {table}_of_trace AFTER DELETE ON {traces} "
        "BEGIN DELETE FROM {table} WHERE trace_id = OLD.n; END"
    ),
}


class CreateTable(migrations.CreateModel):
    """Makes the table on the store's alias in any case; what refers to a trace is deleted with it."""

    def allow_migrate_model(self, connection_alias: Any, model: type[Model]) -> bool:
        ours = connection_alias == panel_settings.STORE["OPTIONS"].get("alias")
        return (ours and model._meta.can_migrate(connection_alias)) or super().allow_migrate_model(
            connection_alias, model
        )

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        super().database_forwards(app_label, schema_editor, from_state, to_state)
        model: Any = to_state.apps.get_model(app_label, self.name)
        connection: Any = schema_editor.connection
        references = [field for field in model._meta.local_fields if field.is_relation]
        cascade = CASCADES.get(connection.vendor)  # on another vendor no store works, but a migration has to
        if references and cascade and self.allow_migrate_model(connection.alias, model):
            traces = references[0].related_model._meta.db_table
            # Deferred, to come after the index of the column, which it would make a second time.
            schema_editor.deferred_sql.append(cascade.format(table=model._meta.db_table, traces=traces))
