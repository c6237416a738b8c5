/** What the AI SDK's spans say (`ai.*`, versions 3 to 6), under the names of our wire. Follows traces/ingest/dialects/vercel_ai.py. */

import { filled, isObject, type Json, mapping, text } from "../capture/answer.js";
import { jsonOf } from "../capture/wire.js";

export type Attributes = Record<string, unknown>;

const TYPES: Record<string, [type: string, operation: string]> = {
  doGenerate: ["llm", "chat"],
  doStream: ["llm", "chat"],
  doEmbed: ["embedding", "embeddings"],
  doRerank: ["rerank", "rerank"],
  toolCall: ["tool", "execute_tool"],
};
const COUNTS: Record<string, string[]> = {
  input_tokens: ["ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens", "gen_ai.usage.input_tokens"],
  output_tokens: ["ai.usage.outputTokens", "ai.usage.completionTokens", "gen_ai.usage.output_tokens"],
  total_tokens: ["ai.usage.totalTokens"],
  cache_read_input_tokens: ["ai.usage.inputTokenDetails.cacheReadTokens", "ai.usage.cachedInputTokens"],
  cache_write_input_tokens: ["ai.usage.inputTokenDetails.cacheWriteTokens"],
  reasoning_output_tokens: ["ai.usage.outputTokenDetails.reasoningTokens", "ai.usage.reasoningTokens"],
};
// Version 4 told cached tokens only in what the provider added.
const ADDED: Record<string, string[]> = {
  cache_read_input_tokens: ["cacheReadInputTokens", "cachedPromptTokens"],
  cache_write_input_tokens: ["cacheCreationInputTokens"],
  reasoning_output_tokens: ["reasoningTokens"],
};
const API = /\.(chat|messages|responses|completions?|(text-?)?embeddings?|image)$/;
const METADATA = "ai.telemetry.metadata.";
const SETTINGS = "ai.settings.";
const USER = ["userId", "user_id", "user.id"];
const SESSION = ["sessionId", "session_id", "session.id", "conversationId", "threadId", "chatId"];

/** Type and operation of a span, known from its first attributes on. */
export function typeOf(attributes: Attributes): [type: string, operation: string | undefined] {
  const operation = String(attributes["ai.operationId"] ?? "");
  const known = TYPES[operation.slice(operation.lastIndexOf(".") + 1)];
  return known ?? ["chain", undefined];
}

/** All fields of a step; for calls also what they used. Outer spans repeat the sums of their calls: those are left out. */
export function fieldsOf(name: string, attributes: Attributes): { fields: Json; user?: string; session?: string; tags?: unknown; metadata?: Json } {
  const [type, operation] = typeOf(attributes);
  const [provider, model] = [providerOf(attributes["ai.model.provider"] ?? attributes["gen_ai.system"]), text(first(attributes, ["ai.model.id", "gen_ai.request.model"]))];
  const fields: Json = {
    name: type === "tool" ? text(attributes["ai.toolCall.name"]) ?? name : name,
    type,
    operation,
    provider: type === "tool" ? undefined : provider,
    feature: text(attributes["ai.telemetry.functionId"]),
    input: asked(attributes),
    output: answered(attributes),
    parameters: filled(under(attributes, SETTINGS)),
  };
  if (type !== "tool" && type !== "chain") Object.assign(fields, callFields(attributes, provider, model));
  const metadata = under(attributes, METADATA);
  const told = { fields, user: text(first(metadata, USER)), session: text(first(metadata, SESSION)), tags: metadata.tags };
  delete metadata.tags;
  return { ...told, metadata: filled(metadata) } as ReturnType<typeof fieldsOf>;
}

function callFields(attributes: Attributes, provider: string | undefined, model: string | undefined): Json {
  const answeredBy = text(first(attributes, ["ai.response.model", "gen_ai.response.model"])) ?? model;
  const added = mapping(Object.values(mapping(jsonOf(String(attributes["ai.response.providerMetadata"] ?? "")))).find(isObject));
  const usage = usageOf(attributes, added);
  const waited = attributes["ai.response.msToFirstChunk"];
  const reasons = first(attributes, ["ai.response.finishReason", "ai.finishReason"]);
  return {
    request_model: model,
    model: answeredBy,
    usage: filled(usage),
    usage_convention: filled(usage) && conventionOf(attributes, provider, answeredBy, usage),
    response_id: text(first(attributes, ["ai.response.id", "gen_ai.response.id"])),
    finish_reason: text(reasons),
    service_tier: text(added.serviceTier),
    time_to_first_token_ms: typeof waited === "number" ? Math.round(waited * 10) / 10 : undefined,
    tools: toolsOf(attributes["ai.prompt.tools"]),
  };
}

function usageOf(attributes: Attributes, added: Json): Json {
  const usage: Json = {};
  for (const [field, names] of Object.entries(COUNTS)) {
    const count = first(attributes, names);
    if (typeof count === "number" && count >= 0) usage[field] = count;
  }
  for (const [field, names] of Object.entries(ADDED)) {
    const count = first(added, names);
    if (usage[field] === undefined && typeof count === "number" && count >= 0) usage[field] = count;
  }
  return usage;
}

/** Before version 6, which tells the uncached part apart, Claude's input came without its cache. */
function conventionOf(attributes: Attributes, provider: string | undefined, model: string | undefined, usage: Json): string | undefined {
  if ("ai.usage.inputTokenDetails.noCacheTokens" in attributes) return "inclusive";
  const isClaude = provider === "anthropic" || model?.includes("claude");
  if (!isClaude || !(usage.cache_read_input_tokens || usage.cache_write_input_tokens)) return undefined;
  delete usage.total_tokens; // it leaves the cache out as well
  return "exclusive";
}

/** `openai.chat` and `anthropic.messages` name the API after the provider; the gateway is none. */
function providerOf(value: unknown): string | undefined {
  const provider = String(value ?? "").toLowerCase().replace(API, "");
  return provider && provider !== "gateway" ? provider : undefined;
}

function asked(attributes: Attributes): unknown {
  const said = parsed(attributes["ai.prompt.messages"]);
  if (said !== undefined) return said;
  const prompt = parsed(attributes["ai.prompt"]);
  if (isObject(prompt)) {
    const messages: unknown = prompt.messages ?? (prompt.prompt === undefined ? undefined : [{ role: "user", content: prompt.prompt }]);
    if (Array.isArray(messages)) return prompt.system ? [{ role: "system", content: prompt.system }, ...messages] : messages;
  }
  if (prompt !== undefined) return prompt;
  for (const key of ["ai.toolCall.args", "ai.value", "ai.values", "ai.documents"]) {
    const value = attributes[key];
    if (value !== undefined) return Array.isArray(value) ? value.map(parsed) : parsed(value);
  }
  return undefined;
}

function answered(attributes: Attributes): unknown {
  for (const key of ["ai.toolCall.result", "ai.response.object", "ai.result.object"]) if (attributes[key] !== undefined) return parsed(attributes[key]);
  if (Array.isArray(attributes["ai.ranking"])) return attributes["ai.ranking"].map(parsed);
  const said = text(attributes["ai.response.text"] ?? attributes["ai.result.text"]);
  const thought = text(attributes["ai.response.reasoning"]);
  const calls = parsed(attributes["ai.response.toolCalls"] ?? attributes["ai.result.toolCalls"]);
  if (said === undefined && thought === undefined && !Array.isArray(calls)) return undefined;
  const message: Json = { role: "assistant", content: said ?? null };
  if (thought) message.reasoning_content = thought;
  if (Array.isArray(calls)) message.tool_calls = calls.map(toolCall);
  return message;
}

function toolCall(call: unknown): Json {
  const { toolCallId, toolName, args, input } = mapping(call);
  const given = input ?? args;
  return { id: toolCallId, type: "function", function: { name: toolName, arguments: typeof given === "string" ? given : JSON.stringify(given ?? {}) } };
}

function toolsOf(given: unknown): unknown[] | undefined {
  return Array.isArray(given) && given.length ? given.map(parsed) : undefined;
}

function parsed(value: unknown): unknown {
  return typeof value === "string" ? jsonOf(value) ?? value : value;
}

function under(attributes: Attributes, prefix: string): Json {
  const found: Json = {};
  for (const key of Object.keys(attributes)) if (key.startsWith(prefix)) found[key.slice(prefix.length)] = attributes[key];
  return found;
}

function first(attributes: Attributes, names: string[]): unknown {
  for (const name of names) if (attributes[name] !== undefined && attributes[name] !== null) return attributes[name];
  return undefined;
}
