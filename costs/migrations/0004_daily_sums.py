"""Daily sums, finer histograms as vectors, first tokens, and three more dimensions; what is stored is carried over.

Everything is one statement per table, about ten seconds per million ledger rows: the halves of an old latency bucket
share its calls evenly; first tokens, service tiers and operations come from the ledger as far back as it reaches; error
types are known from now on.
"""

import django.db.models.deletion
import pgvector.django
from django.db import migrations, models

BUCKETS = 126
_KEY = ("project_id", "dimension", "hour", "value", "provider", "model", "environment", "agent")
_SUMS = (
    "calls", "errors", "unpriced_calls", "estimated_calls", "input_tokens", "output_tokens",
    "cache_read_input_tokens", "cache_write_input_tokens", "reasoning_output_tokens", "cost_usd", "latency_calls",
    "latency_ms", "first_token_calls", "first_token_ms",
)  # fmt: skip
_LATENCIES = """
UPDATE costs_costaggregate SET latency_counts = (
  SELECT array_agg(CASE WHEN n = 1 THEN h[1] WHEN n = 126 THEN h[64]
    WHEN n % 2 = 0 THEN (h[n / 2 + 1] + 1) / 2 ELSE h[n / 2 + 1] / 2 END ORDER BY n)::real[]::vector(126)
  FROM generate_series(1, 126) AS n, (SELECT latency_histogram AS h) AS old)
WHERE cardinality(latency_histogram) = 64
"""
_FIRST_TOKENS = """
WITH buckets AS (
  SELECT project_id, date_trunc('hour', occurred_at, 'UTC') AS hour, provider, model, environment, agent,
    CASE WHEN first_token_ms < 1 THEN 0 WHEN first_token_ms >= 3600000 THEN 125
      ELSE least(124, 1 + floor(ln(first_token_ms) / (ln(3600000.0::float8) / 124))::int) END AS bucket,
    count(*) AS calls, sum(first_token_ms) AS total
  FROM costs_costrecord WHERE first_token_ms IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6, 7
), rows AS (
  SELECT project_id, hour, provider, model, environment, agent, sum(calls) AS calls, sum(total) AS total,
    ('{' || string_agg(bucket + 1 || ':' || calls, ',' ORDER BY bucket) || '}/126')::sparsevec(126)::vector(126) AS counts
  FROM buckets GROUP BY 1, 2, 3, 4, 5, 6
)
UPDATE costs_costaggregate a SET first_token_calls = r.calls, first_token_ms = r.total, first_token_counts = r.counts
FROM rows r WHERE a.project_id = r.project_id AND a.hour = r.hour AND a.dimension = 'all' AND a.value = ''
  AND a.provider = r.provider AND a.model = r.model AND a.environment = r.environment AND a.agent = r.agent
"""
_DIMENSION = """
INSERT INTO costs_costaggregate (project_id, hour, dimension, value, provider, model, environment, agent, calls, errors,
  unpriced_calls, estimated_calls, input_tokens, output_tokens, cache_read_input_tokens, cache_write_input_tokens,
  reasoning_output_tokens, cost_usd, latency_calls, latency_ms, first_token_calls, first_token_ms)
SELECT project_id, date_trunc('hour', occurred_at, 'UTC'), '{name}', {name}, provider, model, environment, agent,
  count(*), count(*) FILTER (WHERE is_error), count(*) FILTER (WHERE cost_usd IS NULL),
  count(*) FILTER (WHERE is_estimated), coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0),
  sum(cache_read_input_tokens), sum(cache_write_input_tokens), sum(reasoning_output_tokens),
  coalesce(sum(cost_usd), 0), count(latency_ms), 0, count(first_token_ms), 0
FROM costs_costrecord WHERE {name} <> '' GROUP BY 1, 2, 4, 5, 6, 7, 8
"""
_DAYS = f"""
INSERT INTO costs_costdailyaggregate ({", ".join(_KEY)}, {", ".join(_SUMS)}, latency_counts, first_token_counts)
SELECT project_id, dimension, date_trunc('day', hour, 'UTC'), value,
  {", ".join(f"CASE WHEN dimension = 'all' THEN {name} ELSE '' END" for name in _KEY[4:])},
  {", ".join(f"sum({name})" for name in _SUMS)}, sum(latency_counts), sum(first_token_counts)
FROM costs_costaggregate GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""  # noqa: S608


def _sum(**options: object) -> models.Field:
    return models.BigIntegerField(default=0, **options)


def _vector() -> models.Field:
    return pgvector.django.VectorField(dimensions=BUCKETS, null=True)


class Migration(migrations.Migration):
    dependencies = [("costs", "0003_price_rules"), ("projects", "0002_content_and_preferences")]

    operations = [
        # Trusted since 0.5, and there already in a database of our own.
        migrations.RunSQL("CREATE EXTENSION IF NOT EXISTS vector", migrations.RunSQL.noop),
        migrations.AddField(
            "costrecord", "error_type", models.CharField(blank=True, default="", max_length=200),
            preserve_default=False,
        ),
        migrations.AddField("costaggregate", "first_token_calls", models.BigIntegerField(default=0)),
        migrations.AddField("costaggregate", "first_token_ms", models.FloatField(default=0)),
        migrations.AddField("costaggregate", "latency_counts", _vector()),
        migrations.AddField("costaggregate", "first_token_counts", _vector()),
        migrations.AlterField(
            "costaggregate", "dimension",
            models.CharField(
                choices=[
                    ("all", "All"), ("user", "User"), ("tag", "Tag"), ("api_key", "Api Key"),
                    ("prompt_version", "Prompt Version"), ("feature", "Feature"), ("error_type", "Error Type"),
                    ("service_tier", "Service Tier"), ("operation", "Operation"),
                ],
                max_length=20,
            ),
        ),
        migrations.CreateModel(
            name="CostDailyAggregate",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "project", "dimension", "hour", "value", "provider", "model", "environment", "agent",
                        blank=True, editable=False, primary_key=True, serialize=False,
                    ),
                ),
                ("hour", models.DateTimeField()),
                (
                    "dimension",
                    models.CharField(
                        choices=[
                            ("all", "All"), ("user", "User"), ("tag", "Tag"), ("api_key", "Api Key"),
                            ("prompt_version", "Prompt Version"), ("feature", "Feature"),
                            ("error_type", "Error Type"), ("service_tier", "Service Tier"),
                            ("operation", "Operation"),
                        ],
                        max_length=20,
                    ),
                ),
                ("value", models.CharField(blank=True, max_length=200)),
                ("provider", models.CharField(blank=True, max_length=64)),
                ("model", models.CharField(blank=True, max_length=200)),
                ("environment", models.CharField(blank=True, max_length=64)),
                ("agent", models.CharField(blank=True, max_length=200)),
                ("calls", _sum()),
                ("errors", _sum()),
                ("unpriced_calls", _sum()),
                ("estimated_calls", _sum()),
                ("input_tokens", _sum()),
                ("output_tokens", _sum()),
                ("cache_read_input_tokens", _sum()),
                ("cache_write_input_tokens", _sum()),
                ("reasoning_output_tokens", _sum()),
                ("cost_usd", models.DecimalField(decimal_places=12, default=0, max_digits=26)),
                ("latency_calls", _sum()),
                ("latency_ms", models.FloatField(default=0)),
                ("latency_counts", _vector()),
                ("first_token_calls", _sum()),
                ("first_token_ms", models.FloatField(default=0)),
                ("first_token_counts", _vector()),
                (
                    "project",
                    models.ForeignKey(
                        db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+", to="projects.project",
                    ),
                ),
            ],
            options={"abstract": False},
        ),
        migrations.RunSQL(_LATENCIES, migrations.RunSQL.noop),
        migrations.RemoveField("costaggregate", "latency_histogram"),
        migrations.RunSQL(_FIRST_TOKENS, migrations.RunSQL.noop),
        migrations.RunSQL(_DIMENSION.format(name="service_tier"), migrations.RunSQL.noop),
        migrations.RunSQL(_DIMENSION.format(name="operation"), migrations.RunSQL.noop),
        migrations.RunSQL(_DAYS, migrations.RunSQL.noop),
    ]  # fmt: skip
