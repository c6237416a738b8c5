"""What the explorer adds up: a project's calls of one UTC day as packed columns."""

from django.db import models


class DayFacts(models.Model):
    """The calls of a day in columns (costs.explorer.packing), right while `version` is the day's CostDay.version.

    `layout` says where in `data` each column lies, so that a question reads only the columns it is about; PostgreSQL
    keeps `data` uncompressed for that. `is_gone`: the day's records were no longer there to be read.
    """

    pk = models.CompositePrimaryKey("project", "day")
    project = models.ForeignKey(
        "projects.Project", on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    day = models.DateField()
    version = models.BigIntegerField()
    rows = models.IntegerField()
    is_gone = models.BooleanField(default=False)
    layout = models.JSONField(default=dict)
    data = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.day} v{self.version}: {self.rows}"
