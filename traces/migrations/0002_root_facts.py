from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("traces", "0001_initial")]

    operations = [
        migrations.RemoveField(model_name="trace", name="has_root"),
        migrations.AddField(
            model_name="trace",
            name="root_span_id",
            field=models.CharField(blank=True, max_length=128, default=""),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="trace",
            name="root_started_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="trace",
            name="root_status",
            field=models.CharField(blank=True, max_length=10, default=""),
            preserve_default=False,
        ),
    ]
