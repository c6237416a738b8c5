"""The two questions asked of a billing export. Parameters: @start, @end, @zone, @with_account; `{table}` is checked."""

# A row of the export holds a charge before credits and a list of credits: UNNEST makes one entry of each, in one pass
# over the table. Costs are FLOAT64; as text each is the decimal its writer meant, and BIGNUMERIC adds those up exactly
# where CAST would add up binary noise. Rows for a day may arrive (partition) long after it, never before;
# a row that was only just streamed in has no partition yet.
READ_SQL = """\
WITH entries AS (
  SELECT
    DATE(t.usage_start_time, @zone) AS day,
    t.service.description AS service,
    t.sku.id AS sku_id,
    t.sku.description AS sku,
    t.project.id AS project_id,
    t.project.name AS project_name,
    t.location.region AS region,
    t.cost_type AS cost_type,
    t.currency AS currency,
    t.invoice.month AS invoice_month,
    (SELECT ANY_VALUE(l.value) FROM UNNEST(t.labels) AS l WHERE l.key = 'goog-generativelanguage-model')
      AS model_label,
    entry.credit AS credit,
    entry.amount AS amount,
    IF(entry.credit = '', t.usage.amount, NULL) AS quantity,
    IF(entry.credit = '', t.usage.unit, NULL) AS unit,
    IF(entry.credit = '', t.cost_at_list, NULL) AS list_amount
  FROM `{table}` AS t
  CROSS JOIN UNNEST(ARRAY_CONCAT(
    [STRUCT('' AS credit, t.cost AS amount)],
    ARRAY(
      SELECT AS STRUCT CONCAT(IFNULL(c.type, 'CREDIT'), ': ', IFNULL(c.name, '')) AS credit, c.amount AS amount
      FROM UNNEST(t.credits) AS c
    )
  )) AS entry
  WHERE (t._PARTITIONTIME IS NULL OR t._PARTITIONTIME >= TIMESTAMP_SUB(@start, INTERVAL 2 DAY))
    AND t.usage_start_time >= @start
    AND t.usage_start_time < @end
    AND (
      LOWER(t.service.description) IN ('gemini api', 'generative language api', 'vertex ai')
      OR LOWER(t.sku.description) LIKE '%gemini%'
      OR (@with_account AND t.project.id IS NULL AND t.cost_type != 'regular')
    )
)
SELECT
  day, service, sku_id, sku, project_id, ANY_VALUE(project_name) AS project_name, region, cost_type, currency,
  invoice_month, model_label, credit, unit,
  SUM(PARSE_BIGNUMERIC(CAST(quantity AS STRING))) AS quantity,
  SUM(PARSE_BIGNUMERIC(CAST(amount AS STRING))) AS amount,
  SUM(PARSE_BIGNUMERIC(CAST(list_amount AS STRING))) AS list_amount,
  (
    SELECT UNIX_SECONDS(MAX(n.export_time)) FROM `{table}` AS n
    WHERE n._PARTITIONTIME >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 7 DAY)
  ) AS newest
FROM entries
GROUP BY
  day, service, sku_id, sku, project_id, region, cost_type, currency, invoice_month, model_label, credit, unit
ORDER BY day, sku_id
"""
# How fresh the export is, and its currency: few bytes, and the same rights as reading.
NEWEST_SQL = """\
SELECT UNIX_SECONDS(MAX(t.export_time)) AS exported_at, MAX(t.currency) AS currency
FROM `{table}` AS t
WHERE t._PARTITIONTIME >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 7 DAY)
"""
