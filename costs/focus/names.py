"""Who sells, who made the model, and what the service is called, in FOCUS' words (pure)."""

# Provider id of the ledger → (seller and issuer of the invoice, service).
_SELLERS = {
    "openai": ("OpenAI", "OpenAI API"),
    "anthropic": ("Anthropic", "Claude API"),
    "azure": ("Microsoft", "Azure OpenAI"),
    "google": ("Google Cloud", "Gemini API"),
    "aws": ("AWS", "Amazon Bedrock"),
    "mistral": ("Mistral AI", "Mistral API"),
    "cohere": ("Cohere", "Cohere API"),
    "deepseek": ("DeepSeek", "DeepSeek API"),
    "groq": ("Groq", "GroqCloud"),
    "x-ai": ("xAI", "xAI API"),
    "openrouter": ("OpenRouter", "OpenRouter"),
    "together": ("Together AI", "Together AI"),
    "fireworks": ("Fireworks AI", "Fireworks AI"),
    "perplexity": ("Perplexity", "Perplexity API"),
}
# How names of models begin → who made them. Longer beginnings first where they overlap.
_MAKERS = (
    ("gpt", "OpenAI"), ("o1", "OpenAI"), ("o3", "OpenAI"), ("o4", "OpenAI"), ("chatgpt", "OpenAI"),
    ("text-embedding", "OpenAI"), ("whisper", "OpenAI"), ("dall-e", "OpenAI"), ("tts-", "OpenAI"),
    ("claude", "Anthropic"), ("gemini", "Google"), ("gemma", "Google"), ("imagen", "Google"),
    ("llama", "Meta"), ("mistral", "Mistral AI"), ("mixtral", "Mistral AI"),
    ("ministral", "Mistral AI"), ("codestral", "Mistral AI"), ("deepseek", "DeepSeek"),
    ("qwen", "Alibaba Cloud"), ("grok", "xAI"), ("command", "Cohere"), ("nova", "Amazon"),
    ("titan", "Amazon"), ("phi", "Microsoft"), ("kimi", "Moonshot AI"), ("glm", "Z.ai"),
)  # fmt: skip
METERS = {
    "input": "Input Tokens",
    "cache_read": "Cached Input Tokens",
    "cache_read_audio": "Cached Audio Input Tokens",
    "cache_read_image": "Cached Image Input Tokens",
    "cache_write": "Cache Write Tokens",
    "cache_write_5m": "Cache Write Tokens (5m)",
    "cache_write_1h": "Cache Write Tokens (1h)",
    "input_audio": "Audio Input Tokens",
    "input_image": "Image Input Tokens",
    "output": "Output Tokens",
    "reasoning": "Reasoning Tokens",
    "output_audio": "Audio Output Tokens",
    "output_image": "Image Output Tokens",
    "web_search": "Web Searches",
    "request": "Requests",
}
# The ledger's classes in the words of `x_TokenType`; the others keep theirs.
TOKEN_TYPES = {
    "cache_read": "cached_input",
    "cache_read_audio": "cached_audio_input",
    "cache_read_image": "cached_image_input",
    "input_audio": "audio_input",
    "input_image": "image_input",
    "output_audio": "audio_output",
    "output_image": "image_output",
}
OUTPUTS = frozenset({"output", "reasoning", "output_audio", "output_image"})
# Classes that count something else than tokens.
_COUNTED = {"web_search": "Searches", "request": "Requests"}


def unit_of(token_class: str) -> str:
    """What a quantity of the class counts."""
    return _COUNTED.get(token_class, "Tokens")


def seller_of(provider: str) -> tuple[str, str]:
    """Who sells, and the service's name; an unknown provider keeps its own name."""
    name = provider.strip() or "Unknown provider"
    return _SELLERS.get(provider, (name, name))


def maker_of(provider: str, model: str) -> str:
    """Who made the model (`openai/gpt-5` and `us.anthropic.claude-…` count as well), else who sells it."""
    name = model.lower().rpartition("/")[2]
    for start, maker in _MAKERS:
        if name.startswith(start) or f".{start}" in name:
            return maker
    return seller_of(provider)[0]
