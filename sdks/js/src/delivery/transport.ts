/** One upload: request, answer, and what the answer means for the batch. */

import type { Json } from "../capture/answer.js";
import type { Platform } from "../core/platform.js";
import type { Settings } from "../core/settings.js";
import { reasonOf, type Teller } from "../core/tell.js";
import { VERSION } from "../version.js";

/** What becomes of the batch. */
export type Outcome =
  | { kind: "done"; results: Json[] | undefined }
  | { kind: "refused"; reason: string }
  | { kind: "too_large" }
  | { kind: "retry"; reason: string; after: number | undefined; limit: number };

const ZIP_FROM = 1024;
const KEEPALIVE_UP_TO = 60_000;
const MAX_RETRY_AFTER = 300;
const AGAIN = new Set([408, 425, 429]);

export class Transport {
  private readonly base: string;
  // Taken once: an instrumented global fetch must not see our own uploads.
  private readonly fetch = globalThis.fetch.bind(globalThis);

  constructor(
    private readonly settings: Settings,
    private readonly platform: Platform,
    private readonly teller: Teller,
  ) {
    this.base = `${settings.baseUrl}/api/v1/projects/${encodeURIComponent(settings.project)}`;
  }

  /** Never throws. */
  async send(kind: "traces" | "scores", items: string[], timeout: number): Promise<Outcome> {
    const body = `{"${kind}":[${items.join(",")}]}`;
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(new Error(`no answer within ${timeout} s`)), timeout * 1000);
    try {
      const response = await this.fetch(this.address(kind), await this.request(body, abort.signal));
      return await this.outcome(response);
    } catch (error) {
      const reason = abort.signal.aborted ? reasonOf(abort.signal.reason) : reasonOf(error);
      this.teller.atMostEvery("connection", 300_000, `LLMLab at ${this.settings.endpoint || this.settings.baseUrl} does not answer: ${reason}. Steps are kept and sent later.`);
      return { kind: "retry", reason, after: undefined, limit: 30 };
    } finally {
      clearTimeout(timer);
    }
  }

  private address(kind: string): string {
    const { endpoint } = this.settings;
    if (!endpoint) return `${this.base}/${kind}`;
    return kind === "scores" ? `${endpoint}${endpoint.includes("?") ? "&" : "?"}kind=scores` : endpoint;
  }

  private async request(body: string, signal: AbortSignal): Promise<RequestInit> {
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (!this.platform.isBrowser) {
      headers.authorization = `Bearer ${this.settings.apiKey}`;
      headers["user-agent"] = `llmlab-js/${VERSION}`;
    }
    const zipped = body.length >= ZIP_FROM ? await this.platform.gzip(body) : undefined;
    if (zipped) headers["content-encoding"] = "gzip";
    const keepalive = this.platform.isBrowser && (zipped?.length ?? body.length) < KEEPALIVE_UP_TO;
    // A redirect would turn the upload into a GET.
    return { method: "POST", headers, body: zipped ?? body, signal, redirect: "manual", ...(keepalive && { keepalive }) };
  }

  private async outcome(response: Response): Promise<Outcome> {
    const { status } = response;
    const text = await response.text();
    if (status >= 200 && status < 300) return this.done(text);
    const detail = detailOf(text);
    if (status === 413) return { kind: "too_large" };
    if (status === 401 || status === 403 || status === 404) {
      this.teller.once(`refused:${status}`, `LLMLab refused the key or the project "${this.settings.project}" (HTTP ${status}${detail}). Steps are kept and tried again.`);
      return { kind: "retry", reason: `HTTP ${status}`, after: undefined, limit: 60 };
    }
    if (status >= 500 || AGAIN.has(status)) {
      return { kind: "retry", reason: `HTTP ${status}`, after: retryAfter(response.headers.get("retry-after")), limit: 30 };
    }
    if (status < 400) {
      this.teller.once("redirect", `${this.address("traces")} answers HTTP ${status}, a redirect to ${response.headers.get("location") ?? "?"}: set baseUrl to the address it leads to.`);
      return { kind: "retry", reason: `HTTP ${status}`, after: undefined, limit: 60 };
    }
    return { kind: "refused", reason: `HTTP ${status}${detail}` };
  }

  private done(text: string): Outcome {
    this.teller.forget("connection");
    this.teller.forget("refused:401");
    let results: Json[] | undefined;
    try {
      const answer = JSON.parse(text);
      if (Array.isArray(answer?.results)) results = answer.results;
    } catch {
      // One's own backend in front of LLMLab may answer anything; LLMLab answers JSON.
      if (!this.settings.endpoint) {
        this.teller.once("stranger", `${this.base} answers, but not as LLMLab does: check baseUrl. Steps are kept and tried again.`);
        return { kind: "retry", reason: "not LLMLab", after: undefined, limit: 60 };
      }
    }
    return { kind: "done", results };
  }
}

function detailOf(text: string): string {
  try {
    const { detail } = JSON.parse(text);
    return typeof detail === "string" ? `: ${detail.slice(0, 300)}` : "";
  } catch {
    return "";
  }
}

/** Seconds, from a number or a date. */
export function retryAfter(header: string | null, now = Date.now()): number | undefined {
  if (!header) return undefined;
  const seconds = /^\s*\d+(\.\d+)?\s*$/.test(header) ? Number(header) : (Date.parse(header) - now) / 1000;
  return Number.isFinite(seconds) ? Math.min(MAX_RETRY_AFTER, Math.max(0, seconds)) : undefined;
}

/** Seconds to wait after the nth failure in a row (from 0): exponential, with full jitter. */
export function backOff(failures: number, limit: number): number {
  return Math.random() * Math.min(limit, 0.5 * 2 ** Math.min(failures, 20));
}
