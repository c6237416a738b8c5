"""Addresses of search, sessions, users and errors in the API."""

from core.api.routes import endpoint
from traces.activity import api
from traces.activity.refs import register
from traces.search.api import SearchView

register()

urlpatterns = [
    *endpoint("projects/<str:project>/search", SearchView, "search_api"),
    *endpoint("projects/<str:project>/sessions", api.SessionListView, "session_list_api"),
    *endpoint(
        "projects/<str:project>/sessions/<ref:session>", api.SessionDetailView, "session_detail_api"
    ),
    *endpoint("projects/<str:project>/users", api.UserListView, "user_list_api"),
    *endpoint("projects/<str:project>/users/<ref:user>", api.UserDetailView, "user_detail_api"),
    *endpoint("projects/<str:project>/errors", api.ErrorListView, "error_list_api"),
    *endpoint(
        "projects/<str:project>/errors/<slug:error>", api.ErrorDetailView, "error_detail_api"
    ),
]
