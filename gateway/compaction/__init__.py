"""Prompt compaction: fewer tokens for the same meaning, and nothing changed that could be code, data or a quote."""
