"""What was said in several steps may share a row. Rows stay as they are; new ones are larger, so what does not fit a
quarter of a page goes to TOAST again."""

from typing import Any

import django.contrib.postgres.fields
from django.db import migrations, models


def let_go_out_of_row(apps: Any, schema_editor: Any) -> None:
    """Partitions made before; new ones are made so. Changes the catalogue alone."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass",
            ["traces_spanpayload"],
        )
        for (partition,) in cursor.fetchall():
            cursor.execute(f"ALTER TABLE {partition} RESET (toast_tuple_target)")


class Migration(migrations.Migration):
    dependencies = [("traces", "0013_langfuse_items_samples")]

    operations = [
        migrations.AddField(
            model_name="spanpayload",
            name="steps",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.IntegerField(), null=True, size=None
            ),
        ),
        migrations.RunPython(let_go_out_of_row, migrations.RunPython.noop),
    ]
