/** Streaming chat calls tell their usage only when asked: we ask, and hide the extra chunk from callers who did not. */

import { isObject, type Json } from "../capture/answer.js";
import { jsonOf } from "../capture/wire.js";

const STREAM = /"stream"\s*:\s*true/;

/** Whether a request's body asks for a stream; may say yes wrongly (a prompt that quotes JSON), never no. */
export function streamingRequest(body: string): boolean {
  return STREAM.test(body);
}

/** The body that also asks for usage; undefined where it asks already, or is no streaming chat. */
export function askingForUsage(body: unknown): Json | undefined {
  if (!isObject(body) || body.stream !== true || !Array.isArray(body.messages)) return undefined;
  const options = isObject(body.stream_options) ? body.stream_options : undefined;
  if (options && "include_usage" in options) return undefined;
  return { ...body, stream_options: { ...options, include_usage: true } };
}

/** Body and headers without what we added; undefined when it was not there. */
export function withoutStreamOptions(body: string, headers: unknown): { body: string; headers: unknown } | undefined {
  const value = jsonOf(body);
  if (!isObject(value) || !isObject(value.stream_options)) return undefined;
  const { include_usage: _, ...rest } = value.stream_options;
  const { stream_options: __, ...plain } = value;
  const text = JSON.stringify(Object.keys(rest).length ? { ...plain, stream_options: rest } : plain);
  return { body: text, headers: withLength(headers, text) };
}

/** Old clients state the length themselves. */
function withLength(headers: unknown, text: string): unknown {
  if (!isObject(headers) || headers instanceof Headers) return headers;
  const name = Object.keys(headers).find((key) => key.toLowerCase() === "content-length");
  return name ? { ...headers, [name]: String(new TextEncoder().encode(text).length) } : headers;
}

const EMPTY_CHOICES = /"choices"\s*:\s*\[\s*\]/;
const BOUNDARY = /\r\n\r\n|\n\n|\r\r/g;

/** Takes the chunk with usage and no choices out of a stream; everything else passes byte for byte, one event at a time. */
export class UsageFilter {
  private readonly decoder = new TextDecoder();
  private readonly encoder = new TextEncoder();
  private rest = "";

  /** What of these bytes may be passed on now. */
  push(bytes: Uint8Array): Uint8Array | undefined {
    this.rest += this.decoder.decode(bytes, { stream: true });
    let end = 0;
    for (const found of this.rest.matchAll(BOUNDARY)) end = found.index + found[0].length;
    const whole = this.rest.slice(0, end);
    this.rest = this.rest.slice(end);
    return this.passed(whole);
  }

  /** The stream ended. */
  end(): Uint8Array | undefined {
    const last = this.rest + this.decoder.decode();
    this.rest = "";
    return this.passed(last);
  }

  private passed(text: string): Uint8Array | undefined {
    if (!text) return undefined;
    if (!EMPTY_CHOICES.test(text)) return this.encoder.encode(text);
    let kept = "";
    let start = 0;
    for (const found of text.matchAll(BOUNDARY)) {
      const event = text.slice(start, found.index + found[0].length);
      start += event.length;
      if (!isUsageOnly(event)) kept += event;
    }
    const tail = text.slice(start);
    if (tail && !isUsageOnly(tail)) kept += tail;
    return kept ? this.encoder.encode(kept) : undefined;
  }
}

function isUsageOnly(event: string): boolean {
  if (!EMPTY_CHOICES.test(event)) return false;
  const lines = event.split(/\r\n|\r|\n/).filter((line) => line.startsWith("data:"));
  const value = jsonOf(lines.map((line) => line.slice(5)).join("\n"));
  return isObject(value) && Array.isArray(value.choices) && value.choices.length === 0 && isObject(value.usage);
}
