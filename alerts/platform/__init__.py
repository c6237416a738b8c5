"""The platform watches itself: checks, and incidents for its operators."""
