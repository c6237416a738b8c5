"""Alert addresses of the API."""

from alerts.channel_pages import api_urls as channel_urls
from alerts.events import api_urls as event_urls
from alerts.inbox import api_urls as inbox_urls
from alerts.rules import api_urls as rule_urls

urlpatterns = [
    *rule_urls.urlpatterns,
    *event_urls.urlpatterns,
    *channel_urls.urlpatterns,
    *inbox_urls.urlpatterns,
]
