"""Who answered a call, from what a span says: name, host or scope. Unknown names stay as sent."""

from costs.provider_names import ALIASES, NAMELESS
from traces.ingest.limits import SHORT_LENGTH
from traces.ingest.sanitize import short_text

# An OpenAI-compatible client says "openai" wherever it points; the host tells who really answered.
_HOSTS = (
    (".openai.azure.com", "azure"), (".cognitiveservices.azure.com", "azure"),
    (".services.ai.azure.com", "azure"),
    ("api.groq.com", "groq"), ("api.deepseek.com", "deepseek"), ("api.x.ai", "x-ai"),
    ("api.mistral.ai", "mistral"),
    ("openrouter.ai", "openrouter"), ("api.together.xyz", "together"),
    ("api.together.ai", "together"),
    ("api.fireworks.ai", "fireworks"), ("api.perplexity.ai", "perplexity"),
    ("api.cerebras.ai", "cerebras"),
    ("generativelanguage.googleapis.com", "google"), ("api.moonshot.ai", "moonshotai"),
)  # fmt: skip

_SCOPES = {"com.anthropic.sdk.python": "anthropic"}


def provider_id(name: object, *, host: object = "", scope: str = "") -> str:
    """The provider's id from what a span says; a known host corrects a bare "openai"."""
    text = short_text(name, SHORT_LENGTH).lower()
    provider = "" if text in NAMELESS else ALIASES.get(text, text)
    if not provider:
        provider = _SCOPES.get(scope, "")
    if provider in ("", "openai") and type(host) is str and host:
        lowered = host.lower().rstrip(".")
        for suffix, known in _HOSTS:
            if lowered.endswith(suffix):
                return known
    return provider
