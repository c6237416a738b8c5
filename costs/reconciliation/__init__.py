"""The recorded ledger held against the billed one: every gap with its cause, its amount and its evidence."""
