"""Smaller on disk: steps are found by a hash of their key, what is mostly 0 or empty is NULL. Rows stay as they are."""

import django.contrib.postgres.fields
from django.db import migrations, models
from django.db.models import F, Q

from traces.models.trace import ProjectHash, ResponseHash, TextHash

COUNTS = ("cache_read_input_tokens", "cache_write_input_tokens", "reasoning_output_tokens")


class Migration(migrations.Migration):
    dependencies = [("traces", "0014_shared_payload_rows")]

    operations = [
        *(
            migrations.AlterField(
                model_name="span", name=name, field=models.BigIntegerField(default=0, null=True)
            )
            for name in COUNTS
        ),
        migrations.AlterField(
            model_name="span",
            name="flags",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=40), default=list, null=True, size=None
            ),
        ),
        migrations.AddIndex(
            model_name="span",
            index=models.Index(
                ProjectHash(F("project"), TextHash(F("trace_id"), ResponseHash(F("span_id")))),
                name="traces_span_key",
            ),
        ),
        migrations.AddIndex(
            model_name="span",
            index=models.Index(
                ProjectHash(F("project"), ResponseHash("response_id")),
                name="traces_span_response_key",
                condition=Q(("response_id", ""), _negated=True),
            ),
        ),
        migrations.RemoveIndex(model_name="span", name="traces_span_answer"),
        migrations.RunSQL(
            "ALTER TABLE traces_span DROP CONSTRAINT IF EXISTS traces_span_pkey",
            "ALTER TABLE traces_span ADD PRIMARY KEY (project_id, trace_id, span_id, started_at)",
        ),
    ]
