"""The one table of provider names: many spellings in telemetry, one id each (the catalogue's where it has one)."""

# Seen in gen_ai.provider.name, gen_ai.system, llm.provider and before the slash of a model's name.
_SPELLINGS = {
    "anthropic": "claude",
    "aws": (
        "amazon amazon-bedrock amazon.bedrock amazon_bedrock aws-bedrock aws.bedrock "
        "aws_bedrock bedrock bedrock_converse"
    ),
    "azure": (
        "az.ai.inference az.ai.openai azure-openai azure.ai.inference azure.ai.openai "
        "azure_ai azure_openai azureopenai"
    ),
    "cohere": "cohere_chat",
    "deepseek": "deepseek_ai",
    "fireworks": "fireworks-ai fireworks_ai",
    "github-copilot": "github_copilot",
    "google": (
        "gcp.gemini gcp.gen_ai gcp.vertex.agent gcp.vertex_ai gemini google-genai "
        "google-vertex google.generative-ai google.vertex google_ai google_genai "
        "google_vertexai vertex vertex-ai vertex_ai vertexai"
    ),
    "mistral": "mistral-ai mistral_ai mistralai",
    "moonshotai": "moonshot moonshot_ai",
    "openai": "openai.chat openai.responses",
    "openrouter": "open_router",
    "perplexity": "perplexity_ai",
    "together": "together-ai together_ai togetherai",
    "voyageai": "voyage voyage_ai",
    "x-ai": "x.ai x_ai xai",
    "zai": "z_ai",
}
ALIASES = {name: provider for provider, names in _SPELLINGS.items() for name in names.split()}
# Said where no provider is known: a framework, a proxy, a placeholder.
NAMELESS = frozenset({"_other", "langchain", "litellm_proxy", "other", "unknown"})
