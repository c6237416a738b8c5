/**
 * Values as they are sent (contract §4): whatever a program hands over becomes plain JSON, once, at the moment it is
 * handed over, so that later changes to it do not show. Never throws.
 */

import { put } from "../capture/answer.js";

export const MAX_TEXT = 1024 * 1024;
const MAX_DEPTH = 20;
const MAX_NODES = 100_000;
const MAX_SHOWN = 1000;
const INT64 = 2n ** 63n;

/** Shortens a text beyond 1 MiB and says by how much. */
export function cutText(text: string, limit = MAX_TEXT): string {
  if (text.length <= limit) return text;
  // Half of a surrogate pair would be no character.
  const end = (text.charCodeAt(limit - 1) & 0xfc00) === 0xd800 ? limit - 1 : limit;
  return `${text.slice(0, end)}…[cut: ${text.length - end} characters]`;
}

/** A deep copy made of plain JSON. */
export function clean(value: unknown): unknown {
  return new Cleaner().value(value, 1);
}

class Cleaner {
  private readonly above: object[] = [];
  private nodes = 0;

  value(value: unknown, depth: number): unknown {
    switch (typeof value) {
      case "string":
        return cutText(value);
      case "number":
        return Number.isFinite(value) ? (Object.is(value, -0) ? 0 : value) : String(value);
      case "boolean":
        return value;
      case "bigint":
        return value >= -INT64 && value < INT64 && BigInt(Number(value)) === value && Number.isSafeInteger(Number(value))
          ? Number(value)
          : String(value);
      case "undefined":
        return undefined;
      case "symbol":
        return String(value).slice(0, MAX_SHOWN);
      case "function":
        return `[function ${value.name || "anonymous"}]`.slice(0, MAX_SHOWN);
      default:
        return value === null ? null : this.guarded(value as object, depth);
    }
  }

  /** Proxies and getters may throw, and must not reach the caller. */
  private guarded(value: object, depth: number): unknown {
    if (this.above.includes(value)) return "[circular]";
    if (++this.nodes > MAX_NODES) return "[too much]";
    this.above.push(value);
    try {
      return this.object(value, depth);
    } catch (error) {
      return `[unreadable: ${error instanceof Error ? error.message.slice(0, 200) : "it throws"}]`;
    } finally {
      this.above.pop();
    }
  }

  private object(value: object, depth: number): unknown {
    const plain = this.known(value);
    if (plain !== undefined) return plain;
    const changed = (value as { toJSON?: unknown }).toJSON;
    if (typeof changed === "function" && !Object.hasOwn(value, "toJSON")) {
      return this.value(changed.call(value), depth);
    }
    if (depth > MAX_DEPTH) return "[deep]";
    if (Array.isArray(value)) return this.list(value, depth);
    if (value instanceof Map) return this.entries(value.entries(), depth);
    if (value instanceof Set) return this.list([...value], depth);
    if (value instanceof Error) {
      return this.entries([["name", value.name], ["message", value.message], ...Object.entries(value)], depth);
    }
    return this.entries(this.own(value), depth);
  }

  private *own(value: object): Generator<[string, unknown]> {
    for (const key of Object.keys(value)) {
      let item: unknown;
      try {
        item = (value as Record<string, unknown>)[key];
      } catch {
        item = "[unreadable]";
      }
      yield [key, item];
    }
  }

  private known(value: object): unknown {
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
    if (ArrayBuffer.isView(value)) return `[bytes: ${value.byteLength}]`;
    if (value instanceof ArrayBuffer || (typeof SharedArrayBuffer !== "undefined" && value instanceof SharedArrayBuffer)) {
      return `[bytes: ${value.byteLength}]`;
    }
    if (typeof Blob !== "undefined" && value instanceof Blob) return `[bytes: ${value.size}]`;
    if (value instanceof URL || value instanceof RegExp) return cutText(String(value));
    if (value instanceof Promise || value instanceof WeakMap || value instanceof WeakSet) return `[${value.constructor.name}]`;
    if (value instanceof Number || value instanceof String || value instanceof Boolean) return this.value(value.valueOf(), 1);
    return undefined;
  }

  private list(items: unknown[], depth: number): unknown[] {
    const result: unknown[] = [];
    for (const item of items) {
      if (this.nodes > MAX_NODES) {
        result.push("[too much]");
        break;
      }
      if (typeof item !== "object") this.nodes++;
      result.push(this.value(item, depth + 1) ?? null);
    }
    return result;
  }

  private entries(entries: Iterable<[unknown, unknown]>, depth: number): object {
    const result = {};
    for (const [key, item] of entries) {
      const plain = this.value(item, depth + 1);
      if (plain === undefined) continue;
      if (typeof item !== "object" && ++this.nodes > MAX_NODES) {
        put(result, "…", "[too much]");
        break;
      }
      put(result, typeof key === "string" ? cutText(key, MAX_SHOWN) : String(this.value(key, 1)).slice(0, MAX_SHOWN), plain);
    }
    return result;
  }
}

/** An estimate of the bytes a clean value holds in memory; walks it once. */
export function sizeOf(value: unknown): number {
  if (typeof value === "string") return value.length + 8;
  if (typeof value !== "object" || value === null) return 8;
  let size = 16;
  if (Array.isArray(value)) {
    for (const item of value) size += sizeOf(item);
    return size;
  }
  for (const key of Object.keys(value)) size += key.length + 8 + sizeOf((value as Record<string, unknown>)[key]);
  return size;
}
