"""Addresses of requests in the API, joined in gateway.api_urls."""

from core.api.routes import endpoint
from gateway.requests import act_api, api, job_api

_ALL = "projects/<str:project>/gateway/requests"
_WEBHOOK = "projects/<str:project>/gateway/job-webhook"
urlpatterns = [
    *endpoint(_ALL, api.RequestListView, "gateway_request_list_api"),
    *endpoint(f"{_ALL}/<str:gateway_request>", api.OneRequestView, "gateway_request_api"),
    *endpoint(
        f"{_ALL}/<str:gateway_request>/cancel",
        act_api.RequestCancelView,
        "gateway_request_cancel_api",
    ),
    *endpoint(
        f"{_ALL}/<str:gateway_request>/retry", act_api.RequestRetryView, "gateway_request_retry_api"
    ),
    *endpoint(
        f"{_ALL}/<str:gateway_request>/tell", act_api.RequestTellView, "gateway_request_tell_api"
    ),
    *endpoint(_WEBHOOK, act_api.JobWebhookView, "gateway_job_webhook_api"),
    *endpoint(
        f"{_WEBHOOK}/rotate", act_api.JobWebhookRotationView, "gateway_job_webhook_rotate_api"
    ),
    *endpoint("requests/<str:gateway_job>", job_api.JobView, "gateway_job_api"),
    *endpoint("requests/<str:gateway_job>/cancel", job_api.JobCancelView, "gateway_job_cancel_api"),
]
