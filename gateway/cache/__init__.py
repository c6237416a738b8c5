"""Answers kept: exact and by meaning; replay, invalidation, shadow checks; their pages."""
