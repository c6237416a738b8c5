"""W3C ids: 16 random bytes for a trace, 8 for a step, lower-case hex.

From the system, not from `random`: a program may seed that, and a forked child would repeat it.
"""

import os


def new_trace_id() -> str:
    """A trace id; never all zero, which W3C forbids."""
    return os.urandom(16).hex().replace("0" * 32, "0" * 31 + "1")


def new_step_id() -> str:
    """A step id; never all zero."""
    return os.urandom(8).hex().replace("0" * 16, "0" * 15 + "1")
