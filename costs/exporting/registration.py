"""What the app's `ready` calls."""

from core import jobs
from costs.exporting import runs, sealing, sources
from projects import resealing


def register() -> None:
    """Sources over an organisation's costs, and the job that exports them."""
    sources.register_sources()
    resealing.register(sealing.seal_again)
    jobs.register(runs.KIND, runs.run_step, ended=runs.end)
