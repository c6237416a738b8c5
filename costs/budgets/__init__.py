"""Budgets: limits on what calls may cost, how they stand, and what would have happened."""
