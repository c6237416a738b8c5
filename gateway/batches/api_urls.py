"""Addresses of batches in the API, joined in gateway.api_urls."""

from core.api.routes import endpoint
from gateway.batches import api

_ALL = "projects/<str:project>/gateway/batches"
urlpatterns = [
    *endpoint(_ALL, api.BatchListView, "gateway_batch_list_api"),
    *endpoint(f"{_ALL}/<str:gateway_batch>", api.OneBatchView, "gateway_batch_api"),
]
