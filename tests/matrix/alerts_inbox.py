"""Who may use the routes of the bell, the inbox and a person's preferences: everybody who may look, for themselves."""

from tests.matrix.access import READ, Matrix, Page

_ALERTS = "organizations/<slug:slug>/alerts/"
_INBOX = f"{_ALERTS}inbox/"
ROUTES: Matrix = {
    f"{_ALERTS}bell/": READ,
    _INBOX: READ,
    f"{_INBOX}read/": {"POST": Page()},
    f"{_INBOX}<uuid:event_id>/read/": {"POST": Page()},
}
