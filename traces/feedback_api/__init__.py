"""Scores, comments, public links and collections for programs."""
