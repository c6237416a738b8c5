"""Pages of exports, joined in costs.urls."""

from django.urls import path

from costs.exporting import place_views, views

_EXPORTS = "organizations/<slug:slug>/exports/"
_ONE = f"{_EXPORTS}<uuid:export_id>/"
_SCHEDULES = f"{_EXPORTS}schedules/"
_SCHEDULE = f"{_SCHEDULES}<uuid:export_schedule_id>/"
_DESTINATIONS = f"{_EXPORTS}destinations/"
_DESTINATION = f"{_DESTINATIONS}<uuid:export_destination_id>/"
urlpatterns = [
    path("exports/files/<str:export_token>/", views.export_link_file, name="export_link_file"),
    path(_EXPORTS, views.export_list, name="export_list"),
    path(_ONE, views.export_detail, name="export_detail"),
    path(f"{_ONE}file/", views.export_file, name="export_file"),
    path(f"{_ONE}retry/", views.export_retry, name="export_retry"),
    path(f"{_ONE}removal/", views.export_removal, name="export_removal"),
    path(f"{_ONE}links/", views.export_link, name="export_link"),
    path(
        f"{_EXPORTS}links/<uuid:export_link_id>/revocation/",
        views.export_link_revocation,
        name="export_link_revocation",
    ),
    path(_SCHEDULES, place_views.schedule_list, name="export_schedule_list"),
    path(f"{_SCHEDULES}new/", place_views.schedule_create, name="export_schedule_create"),
    path(_SCHEDULE, place_views.schedule_detail, name="export_schedule_detail"),
    path(f"{_SCHEDULE}edit/", place_views.schedule_edit, name="export_schedule_edit"),
    path(f"{_SCHEDULE}run/", place_views.schedule_run, name="export_schedule_run"),
    path(f"{_SCHEDULE}pause/", place_views.schedule_pause, name="export_schedule_pause"),
    path(f"{_SCHEDULE}removal/", place_views.schedule_removal, name="export_schedule_removal"),
    path(_DESTINATIONS, place_views.destination_list, name="export_destination_list"),
    path(f"{_DESTINATIONS}new/", place_views.destination_create, name="export_destination_create"),
    path(f"{_DESTINATION}edit/", place_views.destination_edit, name="export_destination_edit"),
    path(f"{_DESTINATION}check/", place_views.destination_check, name="export_destination_check"),
    path(
        f"{_DESTINATION}removal/",
        place_views.destination_removal,
        name="export_destination_removal",
    ),
]
