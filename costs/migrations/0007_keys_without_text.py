"""A step's record no longer repeats its trace and step as a text of 50 bytes. Rows stay as they are; the unique index
is built anew."""

from django.db import migrations, models
from django.db.models import F

from costs.models import RecordHash, RecordKey


class Migration(migrations.Migration):
    dependencies = [("costs", "0006_record_keys")]

    operations = [
        migrations.AlterField(
            model_name="costrecord",
            name="record_id",
            field=models.CharField(max_length=300, null=True),
        ),
        migrations.RemoveConstraint(model_name="costrecord", name="costs_record_key"),
        migrations.AddConstraint(
            model_name="costrecord",
            constraint=models.UniqueConstraint(
                RecordHash(F("project"), RecordKey(F("record_id"), F("trace_id"), F("span_id"))),
                F("occurred_at"),
                name="costs_record_key",
            ),
        ),
    ]
