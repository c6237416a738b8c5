"""News from the ledger for the apps above."""

from django.dispatch import Signal

# Sent inside the transaction that recorded calls: project_id (UUID), recorded (int), now (datetime).
# Receivers only write outbox rows.
usage_recorded = Signal()
