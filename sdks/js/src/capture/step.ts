/** The step of a call: request and answer put together under the names of the wire. */

import { Answer, errorOf, filled, type Json, mapping, put, type StepError, text } from "./answer.js";
import { foldChat, foldCompletion, readChat, readCompletion } from "./chat.js";
import { type Endpoint, endpointOf, type Shape } from "./endpoints.js";
import { foldMessage, readBatch, readMessage } from "./messages.js";
import { foldResponse, readEmbeddings, readResponse } from "./responses.js";
import { AMAZON_EVENTS, type Chunk, type Event, eventsOf, objectOf, textOf } from "./wire.js";

/** One call as the instruments hand it over: references to what was sent and came back, nothing decoded. */
export interface CallRecord {
  method: string;
  url: string;
  requestBody: string;
  /** Status of the answer; undefined when none came. */
  status?: number | undefined;
  contentType: string;
  chunks: Chunk[];
  /** Milliseconds of the clock that stamps the chunks. */
  sentAt: number;
  /** What kept the answer from coming. */
  error?: StepError | undefined;
  retries: number;
}

// What has a place of its own in a step, or says only how the answer is sent.
const NOT_PARAMETERS = new Set([
  "model", "messages", "input", "prompt", "instructions", "system", "tools", "stream", "stream_options",
]);
const MESSAGE_LENGTH = 500;

interface Reading {
  read: (body: Json) => Answer;
  fold?: (events: Iterable<Event>) => Answer;
}

const SHAPES: Record<Shape, Reading> = {
  chat: { read: readChat, fold: foldChat },
  completions: { read: readCompletion, fold: foldCompletion },
  responses: { read: readResponse, fold: foldResponse },
  embeddings: { read: readEmbeddings },
  messages: { read: readMessage, fold: foldMessage },
  batches: { read: readBatch },
};

/**
 * The step without its ids and times; null for a call that is not recorded. `time_to_first_token_ms` is there for
 * streams that brought one. Never throws for what a client or a server sent.
 */
export function stepOf(call: CallRecord): Json | null {
  const endpoint = endpointOf(call.method, call.url);
  if (endpoint === null) return null;
  const body = objectOf(call.requestBody);
  const step = requestOf(endpoint, body);
  const answer = answerOf(call, endpoint);
  const isStream = endpoint.isStream || body.stream === true || isStreamType(call.contentType);
  addAnswer(step, answer, isStream);
  if (isStream && answer.firstTokenAt !== undefined) {
    step.time_to_first_token_ms = Math.round(Math.max(0, answer.firstTokenAt - call.sentAt) * 10) / 10;
  }
  if (call.retries > 0) step.attributes.retries = call.retries;
  return known(step);
}

/** What is known of a call before its answer: for the live view. */
export function requestStep(call: Pick<CallRecord, "method" | "url" | "requestBody">): Json | null {
  const endpoint = endpointOf(call.method, call.url);
  return endpoint && known(requestOf(endpoint, objectOf(call.requestBody)));
}

function known(step: Json): Json {
  for (const key of Object.keys(step)) if (step[key] === undefined || step[key] === null) delete step[key];
  return step;
}

function requestOf(endpoint: Endpoint, body: Json): Json {
  const attributes: Json = endpoint.host ? { "server.address": endpoint.host } : {};
  if (endpoint.shape === "batches") {
    attributes.requests = Array.isArray(body.requests) ? body.requests.length : 0;
    return { type: "span", name: endpoint.operation, provider: endpoint.provider, attributes };
  }
  const model = text(body.model) ?? (endpoint.model || undefined);
  const parameters: Json = {};
  for (const key of Object.keys(body)) if (!NOT_PARAMETERS.has(key)) put(parameters, key, body[key]);
  return {
    type: endpoint.shape === "embeddings" ? "embedding" : "llm",
    name: endpoint.operation,
    operation: endpoint.operation,
    provider: endpoint.provider,
    request_model: model,
    model,
    parameters: filled(parameters),
    tools: Array.isArray(body.tools) ? body.tools : undefined,
    input: inputOf(endpoint.shape, body),
    attributes,
  };
}

function inputOf(shape: Shape, body: Json): unknown {
  if (shape === "chat") return body.messages;
  if (shape === "messages") return withSystem(body.system, body.messages);
  if (shape === "responses") {
    if (!isSaid(body.instructions)) return body.input;
    const turns = typeof body.input === "string" ? [{ role: "user", content: body.input }] : body.input;
    return withSystem(body.instructions, turns);
  }
  return shape === "completions" ? body.prompt : body.input;
}

function withSystem(system: unknown, turns: unknown): unknown {
  if (!isSaid(system)) return turns;
  return [{ role: "system", content: system }, ...(Array.isArray(turns) ? turns : [])];
}

/** Neither absent nor empty. */
function isSaid(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

export function isStreamType(contentType: string): boolean {
  return contentType.startsWith("text/event-stream") || contentType.startsWith(AMAZON_EVENTS);
}

function answerOf(call: CallRecord, endpoint: Endpoint): Answer {
  let answer = new Answer();
  if (call.status !== undefined && call.status >= 400) {
    const said = textOf(call.chunks);
    answer.error = errorOf(objectOf(said), `HTTP ${call.status}`, [...said.slice(0, 2 * MESSAGE_LENGTH)].slice(0, MESSAGE_LENGTH).join(""));
    answer.attributes["http.status"] = call.status;
  } else if (call.status !== undefined) {
    const { read, fold } = SHAPES[endpoint.shape];
    if (fold && isStreamType(call.contentType)) {
      answer = fold(eventsOf(call.chunks, call.contentType));
    } else {
      const body = objectOf(textOf(call.chunks));
      answer = read(body);
      // Some proxies say 200 to it.
      if (!answer.error && filled(mapping(body.error))) answer.error = errorOf(body, "error", "");
    }
  }
  if (call.error && !answer.error) answer.error = call.error;
  return answer;
}

function addAnswer(step: Json, answer: Answer, isStream: boolean): void {
  step.status = answer.error ? "error" : "ok";
  step.error = answer.error;
  Object.assign(step.attributes, answer.attributes);
  step.response_id = answer.responseId;
  if (step.type === "span") return;
  step.model = answer.model ?? step.model;
  step.finish_reason = answer.finishReason;
  step.service_tier = answer.serviceTier;
  step.output = answer.output;
  step.usage = answer.isWhole ? answer.usage : undefined;
  if (isStream) step.attributes.stream = true;
  if (!answer.isWhole && !answer.error) step.attributes.stopped_reading = true;
}
