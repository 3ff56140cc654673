from __future__ import annotations

from django.db import migrations


def count(apps, schema_editor):
    """Only its being there is looked at."""


class Migration(migrations.Migration):
    operations = [
        migrations.RunPython(count),
    ]
