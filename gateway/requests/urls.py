"""Pages of requests, joined in gateway.urls."""

from django.urls import path

from gateway.requests import act_views, views, webhook_views

_ALL = "projects/<slug:slug>/gateway/requests/"
_ONE = f"{_ALL}<uuid:request_id>/"
_WEBHOOK = "projects/<slug:slug>/gateway/settings/webhook/"
urlpatterns = [
    path(_ALL, views.request_list, name="request_list"),
    path(f"{_ALL}now/", views.request_now, name="request_now"),
    path(f"{_ALL}bulk/", act_views.request_bulk, name="request_bulk"),
    path(f"{_ALL}export.csv", views.request_export, name="request_export"),
    path(_ONE, views.request_detail, name="request_detail"),
    path(f"{_ONE}cancel/", act_views.request_act, {"act": "cancel"}, name="request_cancel"),
    path(f"{_ONE}retry/", act_views.request_act, {"act": "retry"}, name="request_retry"),
    path(f"{_ONE}tell/", act_views.request_act, {"act": "tell"}, name="request_tell"),
    path(_WEBHOOK, webhook_views.webhook, name="job_webhook"),
    path(f"{_WEBHOOK}rotation/", webhook_views.webhook_rotation, name="job_webhook_rotation"),
    path(f"{_WEBHOOK}deletion/", webhook_views.webhook_deletion, name="job_webhook_deletion"),
]
