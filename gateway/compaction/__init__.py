"""Prompts made shorter without changing what they say. Pure."""
