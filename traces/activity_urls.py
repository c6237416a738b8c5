"""Addresses of sessions, users and errors. Ids of programs stand in paths as traces.activity.refs writes them."""

from django.urls import path

from traces.activity.refs import register
from traces.views import activity, activity_detail, search

register()

_P = "projects/<str:slug>/"
urlpatterns = [
    path(f"{_P}search/", search.search_page, name="search"),
    path(f"{_P}sessions/", activity.session_list, name="session_list"),
    # Files beside the lists, so that no id can be mistaken for one.
    path(f"{_P}sessions.csv", activity.session_csv, name="session_csv"),
    path(f"{_P}sessions/<ref:session_id>/", activity_detail.session_detail, name="session_detail"),
    path(f"{_P}users/", activity.user_list, name="user_list"),
    path(f"{_P}users.csv", activity.user_csv, name="user_csv"),
    path(f"{_P}users/<ref:user_id>/", activity_detail.user_detail, name="user_detail"),
    path(f"{_P}errors/", activity.error_list, name="error_list"),
    path(f"{_P}errors.csv", activity.error_csv, name="error_csv"),
    path(f"{_P}errors/<slug:fingerprint>/", activity_detail.error_detail, name="error_detail"),
    path(f"{_P}errors/<slug:fingerprint>/status/", activity_detail.error_status, name="error_status"),
]  # fmt: skip
