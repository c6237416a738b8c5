"""The engine's parts in production."""

from gateway.engine.parts import Parts
from gateway.engine.snapshots import Snapshots


def production_parts() -> Parts:
    """For one engine, made in its loop."""
    snapshots = Snapshots()

    async def close() -> None:
        snapshots.close()

    return Parts(snapshot=snapshots.get, stop=(close,))
