"""Alert pages, under `organizations/<slug>/alerts/`; `/alerts/` leads to the organisation one was in last."""

from alerts.channel_pages import urls as channel_urls
from alerts.events import urls as event_urls
from alerts.inbox import urls as inbox_urls
from alerts.rules import urls as rule_urls

app_name = "alerts"

urlpatterns = [
    *rule_urls.urlpatterns,
    *event_urls.urlpatterns,
    *channel_urls.urlpatterns,
    *inbox_urls.urlpatterns,
]
