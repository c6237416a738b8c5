"""Smaller on disk: records are found by a hash of their id, what is mostly 0 or empty is NULL. Rows stay as they are."""

import django.contrib.postgres.fields
from django.db import migrations, models
from django.db.models import F

from costs.models import RecordHash

COUNTS = ("cache_read_input_tokens", "cache_write_input_tokens", "reasoning_output_tokens")
LISTS = {"tags": 200, "flags": 40}


class Migration(migrations.Migration):
    dependencies = [("costs", "0005_days_by_fields")]

    operations = [
        *(
            migrations.AlterField(
                model_name="costrecord",
                name=name,
                field=models.BigIntegerField(default=0, null=True),
            )
            for name in COUNTS
        ),
        *(
            migrations.AlterField(
                model_name="costrecord",
                name=name,
                field=django.contrib.postgres.fields.ArrayField(
                    base_field=models.CharField(max_length=length),
                    default=list,
                    null=True,
                    size=None,
                ),
            )
            for name, length in LISTS.items()
        ),
        migrations.AddConstraint(
            model_name="costrecord",
            constraint=models.UniqueConstraint(
                RecordHash(F("project"), F("record_id")), F("occurred_at"), name="costs_record_key"
            ),
        ),
        migrations.RunSQL(
            "ALTER TABLE costs_costrecord DROP CONSTRAINT IF EXISTS costs_costrecord_pkey",
            "ALTER TABLE costs_costrecord ADD PRIMARY KEY (project_id, record_id, occurred_at)",
        ),
    ]
