"""Who may use a route: the words of the matrix. Each area's routes lie beside it (`ROUTES`, `PARAMETERS`, `extend`)."""

from accounts.models import ROLE_RANK, Role
from tests.world import RAW, SCOPES

LOGIN = 302


class Access:
    """Who may. `refusal` is the status the others get; None means allowed."""

    def refusal(self, actor: str) -> int | None:
        raise NotImplementedError


class Public(Access):
    def refusal(self, actor: str) -> int | None:
        return None


class LoggedIn(Access):
    """Any person; keys are nobody on pages."""

    def refusal(self, actor: str) -> int | None:
        return LOGIN if actor == "anonymous" or actor in RAW else None


class NotViewer(LoggedIn):
    """Whoever may create something in an organisation of theirs."""

    def refusal(self, actor: str) -> int | None:
        return 403 if actor == "viewer" else super().refusal(actor)


class Page(LoggedIn):
    """Members of the organisation from `role` up; the others cannot tell it exists."""

    def __init__(self, role: Role = Role.VIEWER) -> None:
        self.role = role

    def refusal(self, actor: str) -> int | None:
        if (login := super().refusal(actor)) is not None:
            return login
        if actor in ("stranger", "operator"):
            return 404
        return None if ROLE_RANK[Role(actor)] >= ROLE_RANK[self.role] else 403


class Author(Page):
    """The member who wrote it (tests.world); colleagues, admins too, are refused."""

    def refusal(self, actor: str) -> int | None:
        return super().refusal(actor) or (403 if actor != "member" else None)


class Api(Page):
    """The same people by session, and this project's keys with the scope."""

    def __init__(
        self, role: Role, scope: str, *, is_listing: bool = False, needs_person: bool = False
    ) -> None:
        super().__init__(role)
        self.scope, self.is_listing, self.needs_person = scope, is_listing, needs_person

    def refusal(self, actor: str) -> int | None:
        if actor == "anonymous":
            return 401
        if actor in RAW:
            if self.needs_person or self.scope not in SCOPES[actor]:
                return 403
            return 404 if actor == "key_stranger" and not self.is_listing else None
        if self.is_listing and actor in ("stranger", "operator"):
            return None
        return super().refusal(actor)


class Door(Access):
    """Keys with the scope ingest only; a session opens no door."""

    def __init__(self, *, names_project: bool) -> None:
        self.names_project = names_project

    def refusal(self, actor: str) -> int | None:
        if actor not in RAW:
            return 401
        if actor == "key_stranger":
            return 404 if self.names_project else None
        return None if "ingest" in SCOPES[actor] else 403


class AnyKey(Access):
    """Any key with the scope, of whatever project: the key says which."""

    def __init__(self, scope: str = "") -> None:
        self.scope = scope

    def refusal(self, actor: str) -> int | None:
        if actor not in RAW:
            return 401
        return None if not self.scope or self.scope in SCOPES[actor] else 403


V, M, A, O = Role.VIEWER, Role.MEMBER, Role.ADMIN, Role.OWNER  # noqa: E741
Matrix = dict[str, dict[str, Access]]
READ: dict[str, Access] = {"GET": Page()}
FORM: dict[str, Access] = {"GET": Public(), "POST": Public()}
OWN: dict[str, Access] = {"GET": LoggedIn(), "POST": LoggedIn()}
