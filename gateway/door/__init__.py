"""The ASGI application behind `/v1/…`: key, guards, cache, limits, route, queue; then the answer as it is made."""
