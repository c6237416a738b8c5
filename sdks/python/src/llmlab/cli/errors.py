"""What ends a command: one line for the person, one exit code for the script."""

from __future__ import annotations

OK = 0
FOUND = 1  # the command did its work and found what it looks for: over the limit, rows refused, a failed check
TROUBLE = 2  # it could not do its work: usage, key, connection
INTERRUPTED = 130


class CliError(Exception):
    """A sentence that says what is wrong and what to do."""

    def __init__(self, message: str, *, code: int = TROUBLE) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
