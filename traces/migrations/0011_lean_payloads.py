"""Smaller on disk: payloads in their row and found by trace, responses found by a hash. Rows stay as they are."""

from typing import Any

from django.db import migrations, models
from django.db.models import F, Q

import traces.models.trace


def keep_in_row(apps: Any, schema_editor: Any) -> None:
    """Partitions made before; new ones are made so (traces.apps)."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass",
            ["traces_spanpayload"],
        )
        for (partition,) in cursor.fetchall():
            cursor.execute(f"ALTER TABLE {partition} SET (toast_tuple_target = 8160)")


class Migration(migrations.Migration):
    dependencies = [("traces", "0010_search_counted_under")]

    operations = [
        migrations.AddIndex(
            model_name="spanpayload",
            index=models.Index(fields=["project", "trace_id"], name="traces_payload_trace"),
        ),
        migrations.RunSQL(
            "ALTER TABLE traces_spanpayload DROP CONSTRAINT IF EXISTS traces_spanpayload_pkey",
            "ALTER TABLE traces_spanpayload ADD PRIMARY KEY (project_id, trace_id, span_id, started_at)",
        ),
        migrations.RunSQL(
            "ALTER TABLE traces_spanpayload ALTER COLUMN data SET STORAGE EXTERNAL",
            "ALTER TABLE traces_spanpayload ALTER COLUMN data SET STORAGE EXTENDED",
        ),
        migrations.RunPython(keep_in_row, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="span",
            index=models.Index(
                F("project"),
                traces.models.trace.ResponseHash("response_id"),
                name="traces_span_answer",
                condition=Q(("response_id", ""), _negated=True),
            ),
        ),
        migrations.RemoveIndex(model_name="span", name="traces_span_response"),
    ]
