"""Providers and their keys: pages, test, rotation."""
