"""Days from before versions of days existed: without a row, nobody would see that they have no facts yet."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("costs", "0014_cost_exports")]

    operations = [
        migrations.RunSQL(
            """
            INSERT INTO costs_costday (project_id, day, version)
            SELECT DISTINCT a.project_id, (a.hour AT TIME ZONE 'UTC')::date, 0 FROM costs_costdailyaggregate a
            JOIN projects_project p ON p.id = a.project_id WHERE a.dimension = 'all' ORDER BY 1, 2
            ON CONFLICT DO NOTHING
            """,
            migrations.RunSQL.noop,
        )
    ]
