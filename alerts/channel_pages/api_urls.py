"""Addresses of channels and their messages in the API, joined in alerts.api_urls."""

from alerts.channel_pages import api, delivery_api
from core.api.routes import endpoint

_CHANNELS = "organizations/<slug:organization>/alerts/channels"
_ONE = f"{_CHANNELS}/<uuid:channel>"
_MESSAGE = "organizations/<slug:organization>/alerts/deliveries/<int:delivery>"
urlpatterns = [
    *endpoint(_CHANNELS, api.ChannelListView, "alert_channel_list_api"),
    *endpoint(f"{_CHANNELS}/kinds", api.KindListView, "alert_channel_kinds_api"),
    *endpoint(_ONE, api.OneChannelView, "alert_channel_api"),
    *endpoint(f"{_ONE}/test", api.ChannelTestView, "alert_channel_test_api"),
    *endpoint(f"{_ONE}/secret", api.ChannelSecretView, "alert_channel_secret_api"),
    *endpoint(f"{_ONE}/deliveries", delivery_api.DeliveryListView, "alert_delivery_list_api"),
    *endpoint(_MESSAGE, delivery_api.DeliveryView, "alert_delivery_api"),
    *endpoint(f"{_MESSAGE}/replay", delivery_api.DeliveryReplayView, "alert_delivery_replay_api"),
    *endpoint(
        f"{_MESSAGE}/cancellation",
        delivery_api.DeliveryCancellationView,
        "alert_delivery_cancel_api",
    ),
]
