/** Anthropic's messages, whole and streamed, wherever they are hosted, and the creation of batches. */

import { Answer, byIndex, errorOf, filled, type Json, mapping, setDefault, text } from "./answer.js";
import { type Event, jsonOf } from "./wire.js";

/** A whole message. */
export function readMessage(body: Json): Answer {
  const answer = new Answer();
  answer.model = text(body.model);
  answer.responseId = text(body.id);
  answer.finishReason = text(body.stop_reason);
  answer.usage = filled(body.usage);
  answer.serviceTier = text(answer.usage?.service_tier);
  if ("content" in body) answer.output = { role: text(body.role) ?? "assistant", content: body.content };
  return answer;
}

/** A batch that was taken on; its answers come later, elsewhere. */
export function readBatch(body: Json): Answer {
  const answer = new Answer();
  answer.responseId = text(body.id);
  return answer;
}

class Fold {
  message: Json | undefined;
  blocks = new Map<number, Json>();
  inputs = new Map<number, string>();
  error: Answer["error"];
  firstTokenAt: number | undefined;
  isWhole = false;

  add(event: Event): void {
    const data = event.data ?? {};
    const index = Number.isInteger(data.index) ? (data.index as number) : undefined;
    if (event.name === "message_start") {
      const message = mapping(data.message);
      this.message = { ...message, usage: { ...mapping(message.usage) } };
    } else if (event.name === "content_block_start" && index !== undefined) {
      const block = { ...mapping(data.content_block) } as Json;
      this.blocks.set(index, block);
      if (String(block.type ?? "").endsWith("tool_use")) this.firstTokenAt ??= event.at;
    } else if (event.name === "content_block_delta" && index !== undefined) {
      this.firstTokenAt ??= event.at;
      this.addDelta(index, mapping(data.delta));
    } else if (event.name === "message_delta") {
      this.addEnd(data);
    } else if (event.name === "message_stop") {
      this.isWhole = true;
    } else if (event.name === "error") {
      this.error = errorOf(data, "stream_error", "");
    }
  }

  private addDelta(index: number, delta: Json): void {
    const block = setDefault<Json>(this.blocks, index, () => ({}));
    if (delta.type === "input_json_delta") {
      this.inputs.set(index, (this.inputs.get(index) ?? "") + (text(delta.partial_json) ?? ""));
    } else if (delta.type === "citations_delta") {
      block.citations = [...(Array.isArray(block.citations) ? block.citations : []), delta.citation ?? null];
    } else {
      // text_delta, thinking_delta, signature_delta: each brings one piece under its own name.
      for (const name of ["text", "thinking", "signature"]) {
        if (text(delta[name])) block[name] = (text(block[name]) ?? "") + delta[name];
      }
    }
  }

  private addEnd(data: Json): void {
    const before = this.message ?? { usage: {} };
    const given = Object.fromEntries(Object.entries(mapping(data.delta)).filter(([, value]) => value));
    const told = Object.entries(mapping(data.usage)).filter(([, value]) => value !== null);
    // Counts are running totals: they replace, they are never added.
    this.message = { ...before, ...given, usage: { ...before.usage, ...Object.fromEntries(told) } };
  }

  content(): Json[] {
    for (const [index, written] of this.inputs) {
      if (!written) continue;
      const value = jsonOf(written);
      this.blocks.get(index)!.input = value === undefined || value === null ? written : value;
    }
    return byIndex(this.blocks).map(([, block]) => block);
  }
}

/** A message from the events of its stream. */
export function foldMessage(events: Iterable<Event>): Answer {
  const fold = new Fold();
  for (const event of events) fold.add(event);
  const answer = fold.message ? readMessage({ ...fold.message, content: fold.content() }) : new Answer();
  if (!fold.isWhole) {
    answer.usage = undefined;
    answer.isWhole = false;
  }
  answer.error = fold.error;
  answer.firstTokenAt = fold.firstTokenAt;
  return answer;
}
