"""Sums of the gateway's calls per minute and hour: what the cache page and alerts read instead of single calls."""
