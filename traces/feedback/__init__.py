"""Writes of scores, comments, public links and collections. Reads are in traces.selectors."""
