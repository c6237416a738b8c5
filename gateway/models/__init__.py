"""What the gateway stores. Growing tables carry `project` in every key."""

from gateway.models import operators
from gateway.models.batches import Batch, BatchState, ProviderFile, Wire
from gateway.models.cache import CachedResponse, CacheThreshold, ShadowCheck
from gateway.models.connections import Connection, ConnectionKey, KeyState, ProviderKind
from gateway.models.limits import (
    Limit,
    LimitCounter,
    LimitMetric,
    LimitScope,
    LimitWindow,
    Reservation,
)
from gateway.models.requests import (
    ENDED,
    AsyncJob,
    JobState,
    JobWebhook,
    LLMRequest,
    RequestState,
    WebhookState,
)
from gateway.models.routes import ConfigVersion, GatewaySettings, Route
from gateway.models.sums import CallSum, CircuitOpening

__all__ = [
    "ENDED", "AsyncJob", "Batch", "BatchState", "CacheThreshold", "CachedResponse", "CallSum", "CircuitOpening",
    "ConfigVersion", "Connection", "ConnectionKey", "GatewaySettings", "JobState", "JobWebhook", "KeyState",
    "LLMRequest", "Limit", "LimitCounter", "LimitMetric", "LimitScope", "LimitWindow", "ProviderFile", "ProviderKind",
    "RequestState", "Reservation", "Route", "ShadowCheck", "WebhookState", "Wire", "operators",
]  # fmt: skip
