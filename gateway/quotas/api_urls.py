"""Addresses of limits in the API, joined in gateway.api_urls."""

from core.api.routes import endpoint
from gateway.quotas import api

_ALL = "organizations/<slug:organization>/gateway/limits"
urlpatterns = [
    *endpoint(_ALL, api.LimitListView, "gateway_limit_list_api"),
    *endpoint(f"{_ALL}/<uuid:gateway_limit>", api.OneLimitView, "gateway_limit_api"),
]
