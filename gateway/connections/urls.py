"""Pages of connections and their keys, joined in gateway.urls."""

from django.urls import path

from gateway.connections import actions, views

_ALL = "organizations/<slug:slug>/gateway/connections/"
_ONE = f"{_ALL}<uuid:gateway_connection_id>/"
_KEY = f"{_ONE}keys/<uuid:gateway_key_id>/"
urlpatterns = [
    path(_ALL, views.connection_list, name="connection_list"),
    path(f"{_ALL}export.csv", views.connection_export, name="connection_export"),
    path(f"{_ALL}new/", views.connection_create, name="connection_create"),
    path(_ONE, views.connection_detail, name="connection_detail"),
    path(f"{_ONE}edit/", views.connection_edit, name="connection_edit"),
    path(f"{_ONE}switch/", actions.connection_switch, name="connection_switch"),
    path(f"{_ONE}test/", actions.connection_test, name="connection_test"),
    path(f"{_ONE}models/", actions.connection_models, name="connection_models"),
    path(f"{_ONE}deletion/", actions.connection_deletion, name="connection_deletion"),
    path(f"{_ONE}keys/new/", actions.key_create, name="connection_key_create"),
    path(_KEY, actions.key_detail, name="connection_key"),
    path(f"{_KEY}weight/", actions.key_weight, name="connection_key_weight"),
    path(f"{_KEY}rotation/", actions.key_rotation, name="connection_key_rotation"),
    path(f"{_KEY}revocation/", actions.key_revocation, name="connection_key_revocation"),
]
