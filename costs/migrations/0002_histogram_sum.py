"""Adding latency histograms: `llmlab_add_counts(a, b)` for upserts, `llmlab_sum_counts` for reading."""

from django.db import migrations

FORWARD = """
CREATE OR REPLACE FUNCTION llmlab_add_counts(a bigint[], b bigint[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN cardinality(a) = 0 THEN b
    WHEN cardinality(b) = 0 THEN a
    ELSE (SELECT array_agg(coalesce(t.x, 0) + coalesce(t.y, 0) ORDER BY t.n)
          FROM unnest(a, b) WITH ORDINALITY AS t(x, y, n))
  END
$$;
CREATE OR REPLACE AGGREGATE llmlab_sum_counts(bigint[]) (
  sfunc = llmlab_add_counts, stype = bigint[], initcond = '{}', combinefunc = llmlab_add_counts, parallel = safe
);
"""
REVERSE = """
DROP AGGREGATE IF EXISTS llmlab_sum_counts(bigint[]);
DROP FUNCTION IF EXISTS llmlab_add_counts(bigint[], bigint[]);
"""


class Migration(migrations.Migration):
    dependencies = [("costs", "0001_initial")]

    operations = [migrations.RunSQL(FORWARD, REVERSE)]
