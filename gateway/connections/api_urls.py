"""Addresses of connections and their keys in the API, joined in gateway.api_urls."""

from core.api.routes import endpoint
from gateway.connections import api

_ALL = "organizations/<slug:organization>/gateway/connections"
_ONE = f"{_ALL}/<uuid:gateway_connection>"
_KEY = f"{_ONE}/keys/<uuid:gateway_key>"
urlpatterns = [
    *endpoint(_ALL, api.ConnectionListView, "gateway_connection_list_api"),
    *endpoint(f"{_ALL}/kinds", api.KindListView, "gateway_connection_kinds_api"),
    *endpoint(_ONE, api.OneConnectionView, "gateway_connection_api"),
    *endpoint(f"{_ONE}/test", api.ConnectionTestView, "gateway_connection_test_api"),
    *endpoint(f"{_ONE}/keys", api.KeyListView, "gateway_connection_key_list_api"),
    *endpoint(_KEY, api.OneKeyView, "gateway_connection_key_api"),
    *endpoint(f"{_KEY}/rotation", api.KeyRotationView, "gateway_connection_key_rotation_api"),
]
