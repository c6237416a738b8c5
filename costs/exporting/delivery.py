"""The door to destinations. Who does not send does not pay: the libraries behind `bucket` take 30 MB of a process."""

from core.errors import DomainError
from costs.models import ExportDestination


class DestinationError(DomainError):
    """The bucket was not reached or refused; the detail says what it said."""

    code = "destination_failed"
    status = 502


def send(destination: ExportDestination, name: str, target: str) -> None:
    """Copy a stored file to `target` in the bucket, replacing what is there. Raises DestinationError."""
    from costs.exporting import bucket

    bucket.send(destination, name, target)


def probe(destination: ExportDestination) -> None:
    """Write and delete a small object. Raises DestinationError with what the storage said."""
    from costs.exporting import bucket

    bucket.probe(destination)
