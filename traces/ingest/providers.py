"""Names of providers: many spellings, one id each (genai-prices' where it has one). Unknown
names stay as sent.
"""

from traces.ingest.limits import SHORT_LENGTH
from traces.ingest.sanitize import short_text

_ALIASES = {
    "az.ai.openai": "azure", "az.ai.inference": "azure", "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "azure_openai": "azure", "azure-openai": "azure", "azureopenai": "azure", "azure_ai": "azure",
    "aws.bedrock": "aws", "aws_bedrock": "aws", "bedrock": "aws", "amazon": "aws",
    "amazon-bedrock": "aws",
    "amazon_bedrock": "aws", "aws-bedrock": "aws",
    "gcp.gemini": "google", "gcp.vertex_ai": "google", "gcp.gen_ai": "google",
    "gcp.vertex.agent": "google",
    "vertex_ai": "google", "vertexai": "google", "vertex": "google", "gemini": "google",
    "google_genai": "google",
    "google-genai": "google", "google_vertexai": "google", "google.generative-ai": "google",
    "google_ai": "google",
    "google.vertex": "google",
    "mistral_ai": "mistral", "mistralai": "mistral", "x_ai": "x-ai", "xai": "x-ai", "x.ai": "x-ai",
    "moonshot_ai": "moonshotai", "moonshot": "moonshotai", "togetherai": "together",
    "together_ai": "together",
    "fireworks_ai": "fireworks", "fireworks-ai": "fireworks", "voyage": "voyageai",
    "voyage_ai": "voyageai",
    "open_router": "openrouter", "github_copilot": "github-copilot", "zai": "zai", "z_ai": "zai",
    "_other": "", "other": "", "unknown": "", "langchain": "", "litellm_proxy": "",
}  # fmt: skip

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
    provider = _ALIASES.get(text, text)
    if not provider:
        provider = _SCOPES.get(scope, "")
    if provider in ("", "openai") and type(host) is str and host:
        lowered = host.lower().rstrip(".")
        for suffix, known in _HOSTS:
            if lowered.endswith(suffix):
                return known
    return provider
