"""The wires the gateway speaks and turns into each other: requests, answers, streams, errors, usage. Pure."""
