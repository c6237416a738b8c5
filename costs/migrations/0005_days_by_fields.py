"""Daily sums of users, tags, … by provider, model, environment and agent as well, as the writer keeps them from now on."""

from django.db import migrations

_FIELDS = "provider, model, environment, agent"
_SUMS = (
    "calls", "errors", "unpriced_calls", "estimated_calls", "input_tokens", "output_tokens",
    "cache_read_input_tokens", "cache_write_input_tokens", "reasoning_output_tokens", "cost_usd",
    "latency_calls", "latency_ms", "first_token_calls", "first_token_ms",
)  # fmt: skip
_FILL = f"""
INSERT INTO costs_costdailyaggregate (project_id, dimension, hour, value, {_FIELDS}, {", ".join(_SUMS)})
SELECT project_id, dimension || '+', date_trunc('day', hour, 'UTC'), value, {_FIELDS},
  {", ".join(f"sum({name})" for name in _SUMS)}
FROM costs_costaggregate WHERE dimension <> 'all' GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""  # noqa: S608
_EMPTY = "DELETE FROM costs_costdailyaggregate WHERE dimension LIKE '%+'"


class Migration(migrations.Migration):
    dependencies = [("costs", "0004_daily_sums")]

    operations = [migrations.RunSQL(_FILL, _EMPTY)]
