/** One call as the caller sees it: all its attempts, and the step they become. */

import { endpointOf, type Endpoint } from "../capture/endpoints.js";
import { now } from "../core/clock.js";
import type { Scope } from "../core/context.js";
import type { Recorder } from "../core/recorder.js";
import type { LiveCall } from "./live_call.js";
import { observeResponse } from "./observe.js";
import { streamingRequest, withoutStreamOptions } from "./usage.js";

export type Fetch = (input: any, init?: any) => Promise<any>;

export class LogicalCall {
  private live: LiveCall | undefined;
  /** We asked the stream for its usage; the chunk that brings it is hidden. */
  asksUsage = false;
  /** The caller's own signal, beside the one that the client makes. */
  signal: AbortSignal | null | undefined;
  /** Told when the server cannot take `stream_options`. */
  onRefusedOptions: (() => void) | undefined;

  constructor(
    private readonly recorder: Recorder,
    private readonly scope: Scope | undefined,
    /** False: the client retries inside, and tells the end of the whole. */
    private readonly isSingle: boolean,
  ) {}

  /** Sends one attempt. Only the fetch itself may throw from here. */
  async send(fetch: Fetch, input: any, init: any): Promise<any> {
    const url = addressOf(input);
    const endpoint = url === undefined ? null : endpointOf(init?.method ?? input?.method ?? "GET", url);
    const body = endpoint && bodyOf(init?.body);
    if (!endpoint || body === undefined || body === null) return fetch(input, init);
    let live: LiveCall | undefined;
    try {
      live = this.attempt(url!, body);
    } catch (error) {
      this.recorder.failed("start", error);
    }
    return live ? this.recorded(live, endpoint, fetch, input, init, body) : fetch(input, init);
  }

  private attempt(url: string, requestBody: string): LiveCall {
    const at = now();
    if (this.live) {
      this.live.retry();
      this.live.record.sentAt = at;
      return this.live;
    }
    const record = { method: "POST", url, requestBody, status: undefined, contentType: "", chunks: [], sentAt: at, error: undefined, retries: 0 };
    return (this.live = this.recorder.startCall(record, this.scope, at));
  }

  private async recorded(live: LiveCall, endpoint: Endpoint, fetch: Fetch, input: any, init: any, body: string): Promise<any> {
    const isStream = endpoint.isStream || streamingRequest(body);
    // A reader that leaves aborts; to read on we need an abort of our own.
    const abort = isStream && init?.signal ? new AbortController() : undefined;
    const ours = abort ? { ...init, signal: linked(init.signal, this.isSingle ? init.signal : this.signal, abort, live) } : init;
    let response: any;
    try {
      response = await fetch(input, ours);
      if (response.status === 400 && this.asksUsage) response = await this.again(response, live, fetch, input, ours, body);
    } catch (error) {
      if (this.isSingle) live.end(error);
      throw error;
    }
    try {
      const hidesUsage = this.asksUsage && response.ok === true;
      return observeResponse(response, live, { hidesUsage, abort, waitsForClient: !this.isSingle, recorder: this.recorder });
    } catch (error) {
      this.recorder.failed("observe", error);
      return response;
    }
  }

  /** Some servers do not know `stream_options`: once without, and never again for this host. */
  private async again(response: any, live: LiveCall, fetch: Fetch, input: any, init: any, body: string): Promise<any> {
    const said: string = await response.clone().text().catch(() => "");
    const plain = said.includes("stream_options") ? withoutStreamOptions(body, init.headers) : undefined;
    if (!plain) return response;
    this.asksUsage = false;
    this.onRefusedOptions?.();
    void response.text().catch(() => undefined);
    live.record.requestBody = plain.body;
    return fetch(input, { ...init, ...plain });
  }

  /** The client is done: with an answer, or with an error after its last attempt. */
  settled(error?: unknown): void {
    if (error !== undefined) this.live?.end(error);
  }

  /** The answer of an attempt that was not 2xx belongs to the client until it gives up or tries again. */
  get step(): LiveCall | undefined {
    return this.live;
  }
}

/**
 * Passes an abort on, unless it only says that the reader left: then the rest is still read. Clients abort their own
 * controller when a loop over a stream is left; the caller's own signal is always meant.
 */
function linked(signal: AbortSignal, theirs: AbortSignal | null | undefined, abort: AbortController, live: LiveCall): AbortSignal {
  const pass = (): void => {
    const isMeant = theirs?.aborted === true;
    if (!isMeant && (live.isDraining || live.leave?.())) return;
    abort.abort(signal.reason);
  };
  if (signal.aborted) pass();
  else signal.addEventListener("abort", pass, { once: true });
  return abort.signal;
}

function addressOf(input: any): string | undefined {
  if (typeof input === "string") return input;
  const address = input?.href ?? input?.url;
  return typeof address === "string" ? address : undefined;
}

/** The text of a request's body; undefined for what is read as it is sent (files, streams). */
function bodyOf(body: unknown): string | undefined {
  if (typeof body === "string") return body;
  if (body === undefined || body === null) return "";
  if (ArrayBuffer.isView(body)) return new TextDecoder().decode(body);
  return body instanceof ArrayBuffer ? new TextDecoder().decode(body) : undefined;
}
