"""Who may use the playground."""

from tests.matrix.access import READ, M, Matrix, Page

_PAGE = "projects/<slug:slug>/gateway/playground/"
ROUTES: Matrix = {
    _PAGE: READ,
    f"{_PAGE}passes/": {"POST": Page(M)},
    f"{_PAGE}runs/": READ,
    f"{_PAGE}runs/<uuid:request_id>/": READ,
    f"{_PAGE}runs/<uuid:request_id>/saving/": {"POST": Page(M)},
}
