"""The gateway's JSON API under `/api/v1/`, beside the calls themselves (gateway.door)."""

from gateway.batches import api_urls as batches_urls
from gateway.cache import api_urls as cache_urls
from gateway.connections import api_urls as connections_urls
from gateway.guards import api_urls as guards_urls
from gateway.overview import api_urls as overview_urls
from gateway.playground import api_urls as playground_urls
from gateway.quotas import api_urls as quotas_urls
from gateway.requests import api_urls as requests_urls
from gateway.routing import api_urls as routing_urls

urlpatterns = [
    *overview_urls.urlpatterns,
    *playground_urls.urlpatterns,
    *routing_urls.urlpatterns,
    *cache_urls.urlpatterns,
    *quotas_urls.urlpatterns,
    *guards_urls.urlpatterns,
    *requests_urls.urlpatterns,
    *batches_urls.urlpatterns,
    *connections_urls.urlpatterns,
]
