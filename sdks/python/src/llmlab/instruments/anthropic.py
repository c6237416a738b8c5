"""The `anthropic` client, 0.x to 2.x: messages and their batches; its clients for Bedrock and Vertex as well."""

from llmlab.instruments.stainless import Stainless

LIBRARY = Stainless("anthropic")
