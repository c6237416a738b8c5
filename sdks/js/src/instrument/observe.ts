/** Listens to a response while its caller reads it: same object, same bytes, same errors. */

import { isStreamType } from "../capture/step.js";
import type { Recorder } from "../core/recorder.js";
import type { LiveCall } from "./live_call.js";
import { UsageFilter } from "./usage.js";

export interface Observation {
  hidesUsage: boolean;
  /** Ends the request itself, for streams. */
  abort: AbortController | undefined;
  /** The client decides over answers that are no success: it may try again. */
  waitsForClient: boolean;
  recorder: Recorder;
}

/** An answer that nobody reads is over after this. */
const UNREAD_MS = 60_000;

export function observeResponse(response: any, live: LiveCall, options: Observation): any {
  live.record.status = response.status;
  live.record.contentType = String(response.headers?.get?.("content-type") ?? "");
  const isFinal = response.ok === true || !options.waitsForClient;
  const over = (error?: unknown): void => {
    if (isFinal) live.end(error);
  };
  if (response.body === null) over();
  else if (isFinal) forgetUnread(live, options.recorder);
  const drain = new Drain(live, over, options);
  observeWhole(response, live, over, options, drain);
  if (isFinal) observeBody(response, drain);
  return response;
}

function forgetUnread(live: LiveCall, recorder: Recorder): void {
  live.stopWaiting = recorder.platform.later(() => live.end(), UNREAD_MS);
}

/** The methods that read all of it. */
function observeWhole(response: any, live: LiveCall, over: (error?: unknown) => void, options: Observation, drain: Drain): void {
  const text: () => Promise<string> = response.text.bind(response);
  const readText = async (): Promise<string> => {
    live.read();
    try {
      let said = await text();
      if (!drain.isUsed) live.receive(said);
      if (options.hidesUsage) said = filtered(said);
      over();
      return said;
    } catch (error) {
      over(error);
      throw error;
    }
  };
  define(response, "text", readText);
  define(response, "json", async () => JSON.parse(await readText()));
  for (const name of ["arrayBuffer", "blob", "bytes", "buffer"]) {
    if (typeof response[name] !== "function") continue;
    const read = response[name].bind(response);
    define(response, name, async () => {
      live.read();
      try {
        const data = await read();
        const bytes = await (typeof data.arrayBuffer === "function" ? data.arrayBuffer() : data);
        if (!drain.isUsed) live.receive(bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes);
        over();
        return data;
      } catch (error) {
        over(error);
        throw error;
      }
    });
  }
}

function filtered(said: string): string {
  const filter = new UsageFilter();
  const decoder = new TextDecoder();
  const first = filter.push(new TextEncoder().encode(said));
  const last = filter.end();
  return (first ? decoder.decode(first) : "") + (last ? decoder.decode(last) : "");
}

/** The stream of bytes: a web stream from fetch, a Node stream from node-fetch. */
function observeBody(response: any, drain: Drain): void {
  const body = response.body;
  if (!body) return;
  let observed: unknown;
  const isWeb = typeof body.getReader === "function";
  if (!isWeb && typeof body[Symbol.asyncIterator] !== "function") return;
  define(response, "body", undefined, () => (observed ??= isWeb ? webStream(body, drain) : nodeStream(body, drain)));
}

/** One reading of the bytes, for the caller as long as they read, then for us. */
class Drain {
  /** The bytes pass here; node-fetch reads them so for its `text` and `json` too. */
  isUsed = false;
  private readonly filter: UsageFilter | undefined;

  constructor(
    private readonly live: LiveCall,
    private readonly over: (error?: unknown) => void,
    private readonly options: Observation,
  ) {
    this.filter = options.hidesUsage ? new UsageFilter() : undefined;
  }

  started(): void {
    this.isUsed = true;
    this.live.read();
  }

  /** An abort that follows only says that the reader left. */
  leaving(): void {
    if (!this.live.isEnded && this.options.recorder.settings.drainSeconds) this.live.isDraining = true;
  }

  onAbort(leave: () => boolean): void {
    this.live.leave = leave;
  }

  get hasLeft(): boolean {
    return this.live.isDraining && !this.live.isEnded;
  }

  /** Notes bytes; returns what the caller gets of them. */
  take(bytes: Uint8Array): Uint8Array | undefined {
    this.live.receive(bytes);
    return this.filter ? this.filter.push(bytes) : bytes;
  }

  /** All came. */
  finish(): Uint8Array | undefined {
    const rest = this.filter?.end();
    this.over();
    return rest;
  }

  /** It broke off. An abort is the caller's wish, no fault. */
  broken(error: unknown): void {
    const isAbort = this.options.abort?.signal.aborted || (error as Error | undefined)?.name === "AbortError";
    this.over(isAbort ? undefined : error);
  }

  /** The caller left: the provider bills the rest anyway, so its usage is worth knowing. */
  async readOn(next: () => Promise<Uint8Array | undefined>, stop: () => void): Promise<void> {
    this.live.read();
    const seconds = this.options.recorder.settings.drainSeconds;
    const isStream = isStreamType(this.live.record.contentType);
    if (this.live.isEnded || !seconds || !isStream || this.options.abort?.signal.aborted) {
      stop();
      this.over();
      return;
    }
    this.live.isDraining = true;
    const cancelTimer = this.options.recorder.platform.later(() => {
      stop();
      this.over();
    }, seconds * 1000);
    try {
      for (let bytes = await next(); bytes && !this.live.isEnded; bytes = await next()) this.live.receive(bytes);
      this.over();
    } catch (error) {
      this.broken(error);
    } finally {
      cancelTimer();
    }
  }
}

function webStream(body: ReadableStream<Uint8Array>, drain: Drain): ReadableStream<Uint8Array> {
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  let isReading = false;
  let hasLeft = false;
  const read = async (): Promise<Uint8Array | undefined> => {
    reader ??= body.getReader();
    const { done, value } = await reader.read();
    return done ? undefined : value;
  };
  const leave = (reason?: unknown): void => {
    if (hasLeft) return;
    hasLeft = true;
    const held = (reader ??= body.getReader());
    void drain.readOn(read, () => void held.cancel(reason).catch(() => undefined));
  };
  // An abort between two reads, not by the caller's own signal, is how clients end a loop that is left.
  drain.onAbort(() => {
    if (!reader || isReading) return false;
    leave();
    return true;
  });
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (hasLeft) return controller.error(new DOMException("This operation was aborted", "AbortError"));
        drain.started();
        isReading = true;
        try {
          for (;;) {
            const bytes = await read();
            const passed = bytes ? drain.take(bytes) : drain.finish();
            if (passed) controller.enqueue(passed);
            if (!bytes) return controller.close();
            if (passed) return;
          }
        } catch (error) {
          drain.broken(error);
          controller.error(error);
        } finally {
          isReading = false;
        }
      },
      cancel: leave,
    },
    { highWaterMark: 0 },
  );
}

/** node-fetch gives a Node stream; its readers iterate over it or pipe it. */
function nodeStream(body: any, drain: Drain): unknown {
  const iterator: AsyncIterator<Uint8Array> = body[Symbol.asyncIterator]();
  const next = async (): Promise<Uint8Array | undefined> => {
    const { done, value } = await iterator.next();
    return done ? undefined : value;
  };
  const stop = (): void => void (body.destroy?.() ?? iterator.return?.());
  async function* passed(): AsyncGenerator<Uint8Array> {
    drain.started();
    let isOver = false;
    try {
      for (let bytes = await next(); bytes; bytes = await next()) {
        const part = drain.take(bytes);
        if (part) yield part;
      }
      isOver = true;
      const rest = drain.finish();
      if (rest) yield rest;
    } catch (error) {
      // A reader that leaves ends the stream with an AbortError thrown in here.
      isOver = !drain.hasLeft;
      if (isOver) drain.broken(error);
      throw error;
    } finally {
      if (!isOver) void drain.readOn(next, stop);
    }
  }
  const Readable = body.constructor;
  if (typeof Readable?.from !== "function") return passed();
  const readable = Readable.from(passed(), { objectMode: false, highWaterMark: 1 });
  const destroy = readable.destroy.bind(readable);
  // Said at once: the client's abort follows before the generator learns that nobody reads any more.
  readable.destroy = (error?: unknown): unknown => {
    if (!error || (error as Error).name === "AbortError") drain.leaving();
    return destroy(error);
  };
  return readable;
}

function define(target: any, name: string, value: unknown, get?: () => unknown): void {
  Object.defineProperty(target, name, get ? { get, configurable: true, enumerable: true } : { value, configurable: true, writable: true });
}
