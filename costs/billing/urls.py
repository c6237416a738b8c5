"""Pages of the billed ledger."""

from django.urls import path

from costs.billing import line_views, views, wizard_views

_BILLING = "organizations/<slug:slug>/billing/"
_ONE = f"{_BILLING}connections/<uuid:connection_id>/"
_SYNC = f"{_BILLING}syncs/<uuid:sync_id>/"
urlpatterns = [
    path(_BILLING, views.connection_list, name="billing_connection_list"),
    path(
        f"{_BILLING}connections/new/",
        wizard_views.connection_create,
        name="billing_connection_create",
    ),
    path(_ONE, views.connection_detail, name="billing_connection"),
    path(f"{_ONE}setup/", wizard_views.connection_setup, name="billing_connection_setup"),
    path(f"{_ONE}edit/", wizard_views.connection_edit, name="billing_connection_edit"),
    path(f"{_ONE}access/", wizard_views.connection_access, name="billing_connection_access"),
    path(f"{_ONE}check/", views.connection_check, name="billing_connection_check"),
    path(f"{_ONE}pause/", views.connection_pause, name="billing_connection_pause"),
    path(f"{_ONE}deletion/", views.connection_deletion, name="billing_connection_deletion"),
    path(f"{_ONE}chart/", views.chart_panel, name="billing_chart_panel"),
    path(f"{_ONE}syncs/", views.sync_create, name="billing_sync_create"),
    path(f"{_ONE}mappings/", line_views.mapping_list, name="billing_mappings"),
    path(f"{_SYNC}cancellation/", views.sync_cancellation, name="billing_sync_cancellation"),
    path(f"{_SYNC}resumption/", views.sync_resumption, name="billing_sync_resumption"),
    path(f"{_BILLING}lines/", line_views.line_list, name="billing_lines"),
    path(f"{_BILLING}lines/export.csv", line_views.line_export, name="billing_line_export"),
    path(f"{_BILLING}corrections/", line_views.revision_list, name="billing_corrections"),
    path(
        f"{_BILLING}corrections/export.csv",
        line_views.revision_export,
        name="billing_correction_export",
    ),
]
