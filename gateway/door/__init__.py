"""The ASGI application behind `/v1/…`: key, parsing, guards, cache, limits, route, queue; then the answer as it is made."""
