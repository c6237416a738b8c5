"""Addresses of requests in the API, joined in gateway.api_urls."""

from core.api.routes import endpoint
from gateway.requests import api

_ALL = "projects/<str:project>/gateway/requests"
urlpatterns = [
    *endpoint(_ALL, api.RequestListView, "gateway_request_list_api"),
    *endpoint(f"{_ALL}/<uuid:gateway_request>", api.OneRequestView, "gateway_request_api"),
]
