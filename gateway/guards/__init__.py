"""Checks of what goes in and what comes out: block, mask or flag."""
