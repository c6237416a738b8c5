"""Which of a connection's keys makes a call (pure)."""

import datetime as dt
from collections.abc import Collection
from random import random

from gateway.connections.providers import PROVIDERS
from gateway.snapshot import ConnectionView, KeyView


def pick_key(
    view: ConnectionView,
    *,
    now: dt.datetime,
    exclude: Collection[str] = (),
    draw: float | None = None,
) -> KeyView | None:
    """One of the active keys by its weight. A replaced one stands in until it retires, when no active key is left:
    `exclude` names keys (`KeyView.id`) that the provider refused or limits. `draw` in [0, 1) decides in tests.

    None: there is no such key. A connection that `is_keyless` is called without one.
    """
    left = [key for key in view.keys if key.id not in exclude]
    active = [key for key in left if key.retires_at is None]
    found = active or [key for key in left if key.retires_at is not None and key.retires_at > now]
    if len(found) < 2:
        return found[0] if found else None
    place = (random() if draw is None else draw) * sum(key.weight for key in found)  # noqa: S311 - spreads load
    for key in found:
        place -= key.weight
        if place < 0:
            return key
    return found[-1]


def is_keyless(view: ConnectionView) -> bool:
    """Whether it is called without a key: its kind may be, and it has none."""
    return not view.keys and not PROVIDERS[view.kind].needs_key
