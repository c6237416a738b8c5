"""How long answers take. `SIMULATOR_PACE=1` is believable, 0 answers at once."""

import asyncio
import os
import random

from examples.simulator.words import PIECE_WORDS


def scale() -> float:
    """The factor on all waiting times."""
    return float(os.environ.get("SIMULATOR_PACE", "0") or 0)


async def before_first_token(chance: random.Random) -> None:
    """A third of a second to a bit over one."""
    await asyncio.sleep(scale() * (0.3 + 0.9 * chance.random() ** 2))


async def before_piece(chance: random.Random) -> None:
    """Forty to ninety words a second."""
    await asyncio.sleep(scale() * PIECE_WORDS / chance.uniform(40, 90))


async def for_whole_answer(chance: random.Random, words: int) -> None:
    """What a stream of that length would have taken."""
    await before_first_token(chance)
    await asyncio.sleep(scale() * words / chance.uniform(40, 90))
