"""The gateway's first page: traffic, queue, cache, providers' health, limits."""
