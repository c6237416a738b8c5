"""ASGI entry point: pages and API through Django, the gateway beside it, live views through Channels."""

import os
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.prod")
# First: it sets Django up, which the imports below need.
_http: Any = get_asgi_application()

from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from django.urls import get_resolver  # noqa: E402

from config.doors import with_doors  # noqa: E402
from config.routing import key_urlpatterns, websocket_urlpatterns  # noqa: E402
from gateway.door.app import with_gateway  # noqa: E402

# Every view is imported now, once, before the launcher forks; a broken one stops the start.
_ = get_resolver().url_patterns

_pages = AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns)))
_programs = URLRouter(key_urlpatterns)


async def _websocket(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Programs name no origin and hold no session: their paths ask for a key and for nothing else."""
    chosen = _programs if scope["path"].startswith("/ws/v1/") else _pages
    await chosen(scope, receive, send)


_gateway = with_gateway(with_doors(_http))
application = ProtocolTypeRouter({"http": _gateway, "websocket": _websocket, "lifespan": _gateway})
