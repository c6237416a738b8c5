"""Addresses of the billed ledger in the API."""

from core.api.routes import endpoint
from costs.billing import api, list_api

_BILLING = "organizations/<slug:organization>/billing"
_ONE = f"{_BILLING}/connections/<uuid:connection>"
_SYNC = f"{_BILLING}/syncs/<uuid:sync>"
urlpatterns = [
    *endpoint(f"{_BILLING}/providers", api.ProviderListView, "billing_providers_api"),
    *endpoint(f"{_BILLING}/connections", api.ConnectionListView, "billing_connections_api"),
    *endpoint(_ONE, api.ConnectionView, "billing_connection_api"),
    *endpoint(f"{_ONE}/check", api.ConnectionCheckView, "billing_check_api"),
    *endpoint(f"{_ONE}/syncs", api.ConnectionSyncView, "billing_sync_create_api"),
    *endpoint(f"{_ONE}/mappings", api.MappingListView, "billing_mappings_api"),
    *endpoint(f"{_BILLING}/syncs", list_api.SyncListView, "billing_syncs_api"),
    *endpoint(_SYNC, api.SyncView, "billing_sync_api"),
    *endpoint(f"{_SYNC}/cancellation", api.SyncCancellationView, "billing_sync_cancellation_api"),
    *endpoint(f"{_SYNC}/resumption", api.SyncResumptionView, "billing_sync_resumption_api"),
    *endpoint(f"{_BILLING}/costs", list_api.BilledCostListView, "billed_costs_api"),
    *endpoint(f"{_BILLING}/revisions", list_api.RevisionListView, "billed_revisions_api"),
]
