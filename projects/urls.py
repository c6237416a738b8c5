"""Entry points and project pages. `/traces/<trace_id>/` and `/projects/spend/` belong to other
apps.
"""

from django.urls import include, path, re_path

from projects import data_views, export_views, job_views, sdk_views, settings_views, views
from projects.services import RESERVED_SLUGS

_RESERVED = "|".join(sorted(RESERVED_SLUGS))

pages = (
    [
        path("jobs/", job_views.job_list, name="job_list"),
        path("jobs/<uuid:job_id>/", job_views.job_detail, name="job_detail"),
        path("jobs/<uuid:job_id>/cancellation/", job_views.job_cancel, name="job_cancel"),
        path("projects/", views.project_list, name="project_list"),
        path("projects/new/", views.project_create, name="project_create"),
        path("projects/deletions/<uuid:job_id>/", settings_views.deletion, name="project_deletion"),
        path(
            "projects/deletions/<uuid:job_id>/cancellation/",
            settings_views.deletion_cancel,
            name="project_deletion_cancel",
        ),
        re_path(
            rf"^projects/(?P<slug>(?!(?:{_RESERVED})/)[-a-zA-Z0-9_]+)/$",
            views.project_home,
            name="project_home",
        ),
        path("projects/<slug:slug>/exports/", export_views.export_list, name="export_list"),
        path("projects/<slug:slug>/exports/", export_views.export_list, name="export_create"),
        path(
            "projects/<slug:slug>/exports/<uuid:job_id>/file/",
            export_views.export_file,
            name="export_file",
        ),
        path(
            "projects/<slug:slug>/exports/<uuid:job_id>/removal/",
            export_views.export_delete,
            name="export_delete",
        ),
        path("projects/<slug:slug>/setup/", views.setup, name="setup"),
        path("projects/<slug:slug>/settings/", settings_views.general, name="settings"),
        path("projects/<slug:slug>/settings/data/", data_views.data_settings, name="settings_data"),
        path(
            "projects/<slug:slug>/settings/data/capture/",
            data_views.capture_save,
            name="capture_save",
        ),
        path(
            "projects/<slug:slug>/settings/data/masking/",
            data_views.masking_try,
            name="masking_try",
        ),
        path(
            "projects/<slug:slug>/settings/data/retention/",
            data_views.retention_save,
            name="retention_save",
        ),
        path(
            "projects/<slug:slug>/settings/api-keys/",
            settings_views.api_key_list,
            name="api_key_list",
        ),
        path(
            "projects/<slug:slug>/settings/api-keys/new/",
            settings_views.api_key_create,
            name="api_key_create",
        ),
        path(
            "projects/<slug:slug>/settings/api-keys/<uuid:key_id>/rotation/",
            settings_views.api_key_rotate,
            name="api_key_rotate",
        ),
        path(
            "projects/<slug:slug>/settings/api-keys/<uuid:key_id>/revocation/",
            settings_views.api_key_revoke,
            name="api_key_revoke",
        ),
        path(
            "projects/<slug:slug>/settings/danger/", settings_views.danger, name="settings_danger"
        ),
        path(
            "projects/<slug:slug>/settings/archive/", settings_views.archive, name="project_archive"
        ),
    ],
    "projects",
)

urlpatterns = [
    path("", views.home, name="home"),
    path("dashboard/", views.entry, {"target": "costs:dashboard"}, name="dashboard_entry"),
    path("traces/", views.entry, {"target": "traces:trace_list"}, name="traces_entry"),
    path("gateway/", views.entry, {"target": "gateway:overview"}, name="gateway_entry"),
    path("models/", views.entry, {"target": "costs:model_list"}, name="models_entry"),
    path("sdks/<str:name>", sdk_views.sdk_file, name="sdk_file"),
    path("setup/", views.entry, {"target": "projects:setup"}, name="setup_entry"),
    path("settings/", views.entry, {"target": "projects:settings"}, name="settings_entry"),
    path("", include(pages)),
]
