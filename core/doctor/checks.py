"""Every check of `manage.py doctor`, in the order in which things depend on each other."""

from collections.abc import Callable

from core.doctor.database import database
from core.doctor.findings import Finding
from core.doctor.machine import data_directory, packages, python_version, secrets
from core.doctor.outside import address, email
from core.doctor.processes import redis, scheduler, worker

CHECKS: tuple[Callable[[], list[Finding]], ...] = (
    python_version,
    packages,
    data_directory,
    secrets,
    database,
    redis,
    worker,
    scheduler,
    address,
    email,
)


def examine() -> list[Finding]:
    """Run every check, in the order in which things depend on each other."""
    return [finding for check in CHECKS for finding in check()]
