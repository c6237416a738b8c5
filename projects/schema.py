"""How the OpenAPI document describes API keys."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """`Authorization: Bearer llmlab_sk_…` (Basic and `x-api-key` carry the same key)."""

    target_class = "projects.authentication.ApiKeyAuthentication"
    name = ["apiKey", "apiKeyHeader"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        return [
            {"type": "http", "scheme": "bearer", "bearerFormat": "llmlab_sk_…"},
            {"type": "apiKey", "in": "header", "name": "x-api-key"},
        ]
