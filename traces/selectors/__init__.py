"""Reads of traces: the list and its panels (listing), one trace (detail), one step (steps)."""
