"""One module per kind of channel behind `base`, found by `registry`."""
