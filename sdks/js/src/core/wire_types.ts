/** Shapes of what is sent (contract §2). */

import type { Json } from "../capture/answer.js";

/** One trace of a batch with the steps that are sent now. */
export interface TraceItem extends Json {
  trace_id: string;
  root_id: string;
  steps: Json[];
}

export interface ScoreItem extends Json {
  name: string;
}

/** Gets finished traces and scores instead of the network. */
export interface Exporter {
  traces(items: TraceItem[]): void | Promise<void>;
  scores(items: ScoreItem[]): void | Promise<void>;
}

/** Kinds of steps that the server knows. */
export type StepType =
  | "llm" | "embedding" | "tool" | "retrieval" | "rerank" | "guardrail" | "evaluator" | "agent" | "chain" | "span";

/** What may be said of a step; names as in JavaScript. */
export interface StepFields {
  name?: string;
  type?: StepType;
  input?: unknown;
  output?: unknown;
  metadata?: Record<string, unknown>;
  tags?: readonly string[];
  user?: string;
  session?: string;
  feature?: string;
  promptVersion?: string;
  /** Model that was asked for; `responseModel` is the one that answered. */
  model?: string;
  responseModel?: string;
  provider?: string;
  operation?: string;
  /** The provider's usage object, or `{input_tokens, output_tokens, …}`. */
  usage?: Record<string, unknown>;
  /** Only where you know it better than the price list. */
  costUsd?: string | number;
  parameters?: Record<string, unknown>;
  tools?: readonly unknown[];
  finishReason?: string;
  responseId?: string;
  serviceTier?: string;
  timeToFirstTokenMs?: number;
  attributes?: Record<string, unknown>;
  error?: unknown;
}

/** How the fields are called on the wire. */
export const WIRE_NAMES: Record<string, string> = {
  name: "name", type: "type", input: "input", output: "output", metadata: "metadata", tags: "tags", user: "user",
  session: "session", feature: "feature", promptVersion: "prompt_version", model: "request_model",
  responseModel: "model", provider: "provider", operation: "operation", usage: "usage", costUsd: "cost_usd",
  parameters: "parameters", tools: "tools", finishReason: "finish_reason", responseId: "response_id",
  serviceTier: "service_tier", timeToFirstTokenMs: "time_to_first_token_ms", attributes: "attributes",
};
