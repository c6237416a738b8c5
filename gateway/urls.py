"""Pages of the gateway: a project's under `projects/<slug>/gateway/`, connections and limits of the organisation under
`organizations/<slug>/gateway/`. `/gateway/` leads to the project one was in last."""

from gateway.batches import urls as batches_urls
from gateway.cache import urls as cache_urls
from gateway.connections import urls as connections_urls
from gateway.guards import urls as guards_urls
from gateway.overview import urls as overview_urls
from gateway.playground import urls as playground_urls
from gateway.quotas import urls as quotas_urls
from gateway.requests import urls as requests_urls
from gateway.routing import urls as routing_urls

app_name = "gateway"

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
