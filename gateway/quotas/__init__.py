"""Limits and budgets: reserve before, settle after, release on failure or crash; their pages."""
