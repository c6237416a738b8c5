"""News from the ledger for the apps above."""

from django.dispatch import Signal

# Sent inside the transaction that recorded calls: project_id (UUID), recorded (int), now (datetime).
# Receivers only write outbox rows.
usage_recorded = Signal()

# Sent inside the transaction that prices records again, before any of them is locked: project_id (UUID), trace_ids
# (sorted list[str]). Receivers lock what they keep about these traces, so that every writer locks in one order.
records_repricing = Signal()
# Sent inside the same transaction: project_id (UUID), changes (list[costs.services.reprice.Change]), now (datetime).
# Receivers bring their own copies of the costs up to date.
records_repriced = Signal()
# Sent inside the transaction that ends a re-pricing, however it ended: project_ids (list[UUID]), job_id (UUID), now.
# Receivers enqueue what is worth doing once, not per chunk.
repricing_ended = Signal()

# Sent inside the transaction that brought billed lines up to date: organization_id, account_id (UUIDs), first_day,
# end_day (billing days, the last one excluded), now. Receivers enqueue what is worth doing once, not per line.
sync_finished = Signal()

# Sent inside the transaction that explained a strange day of the last two, once per anomaly: organization_id,
# project_id (UUID | None), anomaly_id, day (date), now. Receivers only write outbox rows.
anomaly_found = Signal()
