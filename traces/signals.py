"""News from ingestion for the apps above."""

from django.dispatch import Signal

# Sent inside the transaction that stored spans: project_id (UUID), trace_ids (list[str]), now (datetime).
# Receivers only write outbox rows.
spans_recorded = Signal()
