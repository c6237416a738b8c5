"""What the app's `ready` calls."""

from core import jobs
from costs.exporting import runs, sources


def register() -> None:
    """Sources over an organisation's costs, and the job that exports them."""
    sources.register_sources()
    jobs.register(runs.KIND, runs.run_step, ended=runs.end)
