"""W3C ids: 16 random bytes for a trace, 8 for a step, lower-case hex."""

import os
import random

# Not the module-level generator: a program that calls random.seed(42) would repeat our ids.
_random = random.Random()  # noqa: S311


def reseed() -> None:
    """Start a new sequence: a forked child must not repeat its parent's ids."""
    _random.seed(os.urandom(32))


def new_trace_id() -> str:
    """A trace id; never all zero, which W3C forbids."""
    return f"{_random.getrandbits(128) or 1:032x}"


def new_step_id() -> str:
    """A step id; never all zero."""
    return f"{_random.getrandbits(64) or 1:016x}"
