"""Pages of traces: the list (listing), one trace (detail), its steps (steps), first trace and test trace (starting)."""
