"""The base of every anticipated failure. The edge maps it to a form error or a JSON body; the rest propagates."""

from collections.abc import Sequence


class DomainError(Exception):
    """A refusal the caller can act on: `code` is stable for programs, `detail` is for people.

    `status` is the HTTP status the edge answers with; `fields` names the inputs at fault.
    """

    code = "invalid"
    status = 400

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        status: int | None = None,
        fields: Sequence[str] = (),
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.status = status or self.status
        self.fields = tuple(fields)


class NotFoundError(DomainError):
    """Unknown and forbidden look alike."""

    code = "not_found"
    status = 404


class ConflictError(DomainError):
    """The state changed, or the name is taken."""

    code = "conflict"
    status = 409


class StorageAwayError(DomainError):
    """PostgreSQL does not answer: nothing was stored, the same request may be sent again after `RETRY_SECONDS`."""

    RETRY_SECONDS = 5
    code = "storage_unavailable"
    status = 503


class ServerError(DomainError):
    """A bug, as far as the caller may know."""

    code = "server_error"
    status = 500
