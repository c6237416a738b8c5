"""The LLM gateway: calls of OpenAI's and Anthropic's clients, authenticated, limited, cached, routed, made by workers
and recorded like every other call (docs/gateway.md, ADR 0011).
"""
