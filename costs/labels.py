"""Names and colours of providers, models, agents and environments on cost pages (pure)."""

from collections.abc import Sequence

PROVIDERS = {
    "anthropic": "Anthropic",
    "openai": "OpenAI",
    "google": "Google Gemini",
    "azure": "Azure OpenAI",
    "aws": "AWS Bedrock",
    "mistral": "Mistral",
    "cohere": "Cohere",
    "deepseek": "DeepSeek",
    "groq": "Groq",
    "x-ai": "xAI",
    "openrouter": "OpenRouter",
    "together": "Together AI",
    "fireworks": "Fireworks AI",
    "perplexity": "Perplexity",
    "ollama": "Ollama",
    "vllm": "vLLM",
}
ALIASES = {
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "gcp.gen_ai": "google",
    "az.ai.openai": "azure",
    "azure.ai.openai": "azure",
    "aws.bedrock": "aws",
    "mistral_ai": "mistral",
    "x_ai": "x-ai",
}
NOTHING = {
    "provider": "Unknown provider",
    "model": "Unknown model",
    "agent": "No agent",
    "environment": "No environment",
    "error_type": "No type given",
}
SLOTS = ("c1", "c2", "c3", "c4", "c5", "c6")
# A provider keeps its colour on every page.
PROVIDER_SLOTS = {
    "anthropic": "c1",
    "openai": "c2",
    "google": "c3",
    "azure": "c4",
    "aws": "c5",
    "mistral": "c6",
}


def label_of(name: str, value: str) -> str:
    """What a person reads for one value of a dimension."""
    if not value:
        return NOTHING.get(name, f"No {name.replace('_', ' ')}")
    return PROVIDERS.get(ALIASES.get(value, value), value) if name == "provider" else value


def slots_for(name: str, values: Sequence[str]) -> dict[str, str]:
    """A colour for each of up to six values: known providers keep theirs, the others fill the free ones by name."""
    found: dict[str, str] = {}
    if name == "provider":
        for value in values:
            slot = PROVIDER_SLOTS.get(ALIASES.get(value, value))
            if slot and slot not in found.values():
                found[value] = slot
    free = [slot for slot in SLOTS if slot not in found.values()]
    left = sorted(value for value in values if value not in found)
    found |= dict(zip(left, free, strict=False))
    return {value: found.get(value, "co") for value in values}


def provider_slot(value: str) -> str:
    """The colour of a provider standing alone."""
    return PROVIDER_SLOTS.get(ALIASES.get(value, value), "co")
