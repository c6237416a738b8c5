"""Exports: a filtered list as CSV, JSON Lines or Parquet, written by a background job to the file storage.

Each domain registers what it can export (`registry.register`, from its AppConfig.ready); this package knows no domain.
"""
