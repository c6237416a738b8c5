"""Addresses of requests in the API, joined in gateway.api_urls."""

from core.api.routes import endpoint
from gateway.requests import api, job_api

_ALL = "projects/<str:project>/gateway/requests"
urlpatterns = [
    *endpoint(_ALL, api.RequestListView, "gateway_request_list_api"),
    *endpoint(f"{_ALL}/<str:gateway_request>", api.OneRequestView, "gateway_request_api"),
    *endpoint("requests/<str:gateway_job>", job_api.JobView, "gateway_job_api"),
    *endpoint("requests/<str:gateway_job>/cancel", job_api.JobCancelView, "gateway_job_cancel_api"),
]
