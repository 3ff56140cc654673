from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

from dbroute_panel.stores.database.operations import CreateTable


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        CreateTable(
            name="Trace",
            fields=[
                ("n", models.BigAutoField(primary_key=True, serialize=False)),
                ("key", models.CharField(db_column="trace_key", max_length=32, unique=True)),
                ("started", models.BigIntegerField()),
                ("duration", models.FloatField()),
                ("queries", models.IntegerField()),
                ("search", models.BinaryField()),
                ("summary", models.BinaryField()),
            ],
            options={
                "default_permissions": (),
                "base_manager_name": "objects",
                "indexes": [models.Index(fields=["started", "n"], name="dbroute_trace_started")],
            },
        ),
        CreateTable(
            name="Part",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("number", models.IntegerField()),
                ("body", models.BinaryField()),
                (
                    "trace",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="dbroute_panel_store.trace",
                    ),
                ),
            ],
            options={"default_permissions": (), "base_manager_name": "objects"},
        ),
        CreateTable(
            name="Mark",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(max_length=8)),
                ("key", models.CharField(db_column="mark_key", max_length=32)),
                ("name", models.BinaryField()),
                (
                    "trace",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="dbroute_panel_store.trace",
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "base_manager_name": "objects",
                "indexes": [models.Index(fields=["kind", "key", "trace"], name="dbroute_mark_found_by")],
            },
        ),
        CreateTable(
            name="Remembered",
            fields=[
                (
                    "key",
                    models.CharField(db_column="name_key", max_length=32, primary_key=True, serialize=False),
                ),
                ("body", models.BinaryField()),
            ],
            options={"default_permissions": (), "base_manager_name": "objects"},
        ),
    ]
