/** From bytes as they came over the wire to JSON values and events. */

import { isObject, type Json } from "./answer.js";

/** A piece of an answer's body and when it came (milliseconds of the clock that told `sentAt`). */
export type Chunk = [at: number, data: Uint8Array | string];

/** One server-sent event; `data` is its JSON object, or null for anything else (`isDone` for [DONE]). */
export interface Event {
  at: number;
  name: string;
  data: Json | null;
  isDone: boolean;
}

export const AMAZON_EVENTS = "application/vnd.amazon.eventstream";
const PRELUDE = 12; // length of all, length of headers, checksum
const CHECKSUM = 4;

export function jsonOf(raw: string): unknown {
  if (!raw) return undefined;
  try {
    return JSON.parse(raw);
  } catch {
    return undefined;
  }
}

/** The JSON object of a text; empty when it is none. */
export function objectOf(raw: string): Json {
  const value = jsonOf(raw);
  return isObject(value) ? value : {};
}

/** All of an answer as text. */
export function textOf(chunks: Chunk[]): string {
  if (chunks.length === 1 && typeof chunks[0]![1] === "string") return chunks[0]![1];
  const decoder = new TextDecoder();
  let all = "";
  for (const [, data] of chunks) all += typeof data === "string" ? data : decoder.decode(data, { stream: true });
  return all + decoder.decode();
}

/** The events of a stream, each with the time its last byte came. */
export function eventsOf(chunks: Chunk[], contentType: string): Iterable<Event> {
  return contentType.startsWith(AMAZON_EVENTS) ? amazonEvents(chunks) : sentEvents(chunks);
}

function* sentEvents(chunks: Chunk[]): Generator<Event> {
  let name = "";
  let data: string[] = [];
  for (const [at, line] of lines(chunks)) {
    if (line === "") {
      if (data.length) yield eventOf(at, name, data.join("\n"));
      name = "";
      data = [];
    } else if (line.startsWith("data:")) {
      data.push(line.slice(line[5] === " " ? 6 : 5));
    } else if (line.startsWith("event:")) {
      name = line.slice(6).trim();
    }
  }
}

/** Lines without their ends, and an empty one at last: some servers forget it after their last event. */
function* lines(chunks: Chunk[]): Generator<[number, string]> {
  const decoder = new TextDecoder();
  let rest = "";
  let at = 0;
  for (const [when, data] of chunks) {
    at = when;
    rest += typeof data === "string" ? data : decoder.decode(data, { stream: true });
    if (rest.endsWith("\r")) continue; // may be half of \r\n
    const found = rest.split(/\r\n|\r|\n/);
    rest = found.pop()!;
    for (const line of found) yield [at, line];
  }
  for (const line of rest.split(/\r\n|\r|\n/)) yield [at, line];
  yield [at, ""];
}

function eventOf(at: number, name: string, raw: string): Event {
  if (raw.trim() === "[DONE]") return { at, name, data: null, isDone: true };
  const value = jsonOf(raw);
  if (!isObject(value)) return { at, name, data: null, isDone: false };
  const kind = typeof value.type === "string" && value.type ? value.type : name;
  return { at, name: kind, data: value, isDone: false };
}

/** Amazon's binary frames: each payload is `{"bytes": base64 of the provider's event}`. */
function* amazonEvents(chunks: Chunk[]): Generator<Event> {
  let rest = new Uint8Array(0);
  for (const [at, data] of chunks) {
    if (typeof data === "string") return;
    rest = joined(rest, data);
    while (rest.length >= PRELUDE) {
      const view = new DataView(rest.buffer, rest.byteOffset, rest.length);
      const size = view.getUint32(0);
      const headerSize = view.getUint32(4);
      if (size < PRELUDE + headerSize + CHECKSUM) return; // no such frame: what follows cannot be found
      if (rest.length < size) break;
      const payload = rest.subarray(PRELUDE + headerSize, size - CHECKSUM);
      rest = rest.slice(size);
      yield unpacked(at, objectOf(new TextDecoder().decode(payload)));
    }
  }
}

function unpacked(at: number, payload: Json): Event {
  if (typeof payload.bytes !== "string") {
    const data = payload.message ? { type: "error", error: { message: payload.message } } : null;
    return { at, name: data ? "error" : "", data, isDone: false };
  }
  try {
    const raw = Uint8Array.from(atob(payload.bytes), (letter) => letter.charCodeAt(0));
    return eventOf(at, "", new TextDecoder().decode(raw));
  } catch {
    return { at, name: "", data: null, isDone: false };
  }
}

export function joined(one: Uint8Array, other: Uint8Array): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(one.length + other.length);
  all.set(one);
  all.set(other, one.length);
  return all;
}
