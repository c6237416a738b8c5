"""The `openai` client, 1.x to 3.x: chat, completions, responses, embeddings; Azure's client as well."""

from llmlab.instruments.stainless import Stainless

LIBRARY = Stainless("openai")
