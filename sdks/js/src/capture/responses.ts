/** OpenAI's Responses, whole and streamed, and its embeddings. */

import { Answer, byIndex, errorOf, filled, isObject, type Json, mapping, text } from "./answer.js";
import type { Event } from "./wire.js";

const ENDS = new Set(["response.completed", "response.incomplete", "response.failed"]);

/** A whole response object. */
export function readResponse(body: Json): Answer {
  const answer = new Answer();
  answer.model = text(body.model);
  answer.responseId = text(body.id);
  answer.serviceTier = text(body.service_tier);
  answer.usage = filled(body.usage);
  if (Array.isArray(body.output)) answer.output = body.output;
  if (body.status === "completed") answer.finishReason = "stop";
  else if (body.status === "incomplete") answer.finishReason = text(mapping(body.incomplete_details).reason);
  else if (body.status === "failed") answer.error = errorOf(body, "failed", "");
  return answer;
}

/** A list of vectors: how many, not what. */
export function readEmbeddings(body: Json): Answer {
  const answer = new Answer();
  answer.model = text(body.model);
  answer.usage = filled(body.usage);
  if (Array.isArray(body.data)) answer.attributes.vectors = body.data.length;
  return answer;
}

/** The response that the last event brings; of a stream that broke off, what was done by then. */
export function foldResponse(events: Iterable<Event>): Answer {
  let opening: Json = {};
  const items = new Map<number, Json>();
  const texts = new Map<number, string>();
  let error: Answer["error"];
  let whole: Answer | undefined;
  let firstTokenAt: number | undefined;
  for (const event of events) {
    const data = event.data ?? {};
    if (event.name.endsWith(".delta")) firstTokenAt ??= event.at;
    if (ENDS.has(event.name)) whole = readResponse(mapping(data.response));
    else if (event.name === "response.created" || event.name === "response.in_progress") {
      opening = filled(data.response) ?? opening;
    } else if (event.name === "error") error = errorOf(data, "stream_error", "");
    else keep(event.name, data, items, texts);
  }
  const answer = whole ?? readResponse(opening);
  if (!whole) {
    answer.isWhole = false;
    answer.usage = answer.finishReason = undefined;
    answer.output = soFar(items, texts);
  }
  answer.error = error ?? answer.error;
  answer.firstTokenAt = firstTokenAt;
  return answer;
}

function keep(name: string, data: Json, items: Map<number, Json>, texts: Map<number, string>): void {
  const index = data.output_index;
  if (!Number.isInteger(index)) return;
  if (name === "response.output_item.done" && isObject(data.item)) items.set(index, data.item);
  else if (name === "response.output_text.delta" && typeof data.delta === "string") {
    texts.set(index, (texts.get(index) ?? "") + data.delta);
  }
}

/** Items that were done, and the text of those that were not. */
function soFar(items: Map<number, Json>, texts: Map<number, string>): Json[] | undefined {
  const parts = new Map<number, Json>();
  for (const [index, written] of texts) {
    parts.set(index, { type: "message", role: "assistant", content: [{ type: "output_text", text: written }] });
  }
  for (const [index, item] of items) parts.set(index, item);
  return parts.size ? byIndex(parts).map(([, item]) => item) : undefined;
}
