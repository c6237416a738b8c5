"""News from ingestion for the apps above."""

from django.dispatch import Signal

# Sent inside the transaction that stored spans: project_id (UUID), trace_ids (list[str]), now (datetime).
# Receivers only write outbox rows.
spans_recorded = Signal()

# Sent by `manage.py seed_demo` when the demo's history is there, at every start: project (Project), now (datetime).
demo_seeded = Signal()

# Sent inside the transaction that took the last of a product's user out of a project: project_id (UUID), user_id (str),
# now (datetime). Receivers forget what they keep under this id.
user_erased = Signal()
