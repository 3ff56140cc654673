from django.db import migrations


def add_tag(apps, schema_editor):
    apps.get_model("library", "Tag").objects.using(schema_editor.connection.alias).create(name="migrated")


class Migration(migrations.Migration):
    dependencies = [("library", "0001_initial")]

    operations = [
        migrations.RunPython(add_tag, migrations.RunPython.noop, hints={"only_on": "primary"}),
        migrations.RunSQL(
            "UPDATE library_tag SET name = upper(name) WHERE name = 'migrated'",
            migrations.RunSQL.noop,
            hints={"only_on": "primary"},
        ),
    ]
