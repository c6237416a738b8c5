/** Settings: given to the constructor, else taken from the environment, else their default. Bad ones are told, never thrown. */

import { type Mask, MASK_NAMES } from "./masks.js";
import { reasonOf, type Logger, Teller } from "./tell.js";
import type { Exporter } from "./wire_types.js";

export interface LLMLabOptions {
  /** Key of the project (`llmlab_sk_…`). Without it the SDK is off. Environment: LLMLAB_API_KEY. */
  apiKey?: string | undefined;
  /** Slug or id of the project. LLMLAB_PROJECT. */
  project?: string | undefined;
  /** Where LLMLab runs. LLMLAB_BASE_URL. */
  baseUrl?: string | undefined;
  /** Browsers only: an address of your own backend that forwards to LLMLab. */
  endpoint?: string | undefined;
  /** LLMLAB_ENVIRONMENT. */
  environment?: string | undefined;
  /** LLMLAB_RELEASE. */
  release?: string | undefined;
  /** LLMLAB_ENABLED. */
  enabled?: boolean | undefined;
  /** Record what was said. LLMLAB_CAPTURE_CONTENT. */
  captureContent?: boolean | undefined;
  /** Built-in masks by name and functions that get each text. LLMLAB_MASK (names). */
  mask?: Mask | readonly Mask[] | undefined;
  /** Part of the traces that is kept, 0 to 1; traces with an error are always kept. LLMLAB_SAMPLE_RATE. */
  sampleRate?: number | undefined;
  /** Steps that make a batch. LLMLAB_FLUSH_AT. */
  flushAt?: number | undefined;
  /** Seconds until an incomplete batch is sent. LLMLAB_FLUSH_INTERVAL. */
  flushInterval?: number | undefined;
  /** Seconds after which a running step is announced; 0: never. LLMLAB_LIVE_INTERVAL. */
  liveInterval?: number | undefined;
  /** Memory for what waits to be sent. LLMLAB_MAX_QUEUE_BYTES. */
  maxQueueBytes?: number | undefined;
  /** Directory that keeps what waits through a crash; empty: none. LLMLAB_SPOOL_DIR. */
  spoolDir?: string | undefined;
  /** Seconds an upload may take. LLMLAB_TIMEOUT. */
  timeout?: number | undefined;
  /** Seconds to read on in a stream whose reader left, to know its usage. LLMLAB_DRAIN_SECONDS. */
  drainSeconds?: number | undefined;
  /** Ask chat streams for their usage. LLMLAB_STREAM_USAGE. */
  streamUsage?: boolean | undefined;
  /** Refuse calls that hard budgets set in LLMLab refuse; needs a key with the scope read. LLMLAB_SERVER_BUDGETS. */
  serverBudgets?: boolean | undefined;
  /** Say more on the logger. LLMLAB_DEBUG. */
  debug?: boolean | undefined;
  logger?: Logger | undefined;
  /** Takes the place of the network, in tests. */
  exporter?: Exporter | undefined;
}

export interface Settings {
  apiKey: string;
  project: string;
  baseUrl: string;
  endpoint: string;
  environment: string;
  release: string;
  enabled: boolean;
  captureContent: boolean;
  masks: Mask[];
  sampleRate: number;
  flushAt: number;
  flushInterval: number;
  liveInterval: number;
  maxQueueBytes: number;
  spoolDir: string;
  timeout: number;
  drainSeconds: number;
  streamUsage: boolean;
  serverBudgets: boolean;
  debug: boolean;
}

type Environment = Record<string, string | undefined>;
const YES = new Set(["1", "true", "yes", "on"]);
const NO = new Set(["0", "false", "no", "off"]);

/** All settings, checked. */
export function settingsOf(options: LLMLabOptions, environment: Environment): [Settings, Teller] {
  const isDebug = options.debug ?? YES.has((environment.LLMLAB_DEBUG ?? "").toLowerCase());
  const teller = new Teller(options.logger, isDebug);
  const read = new Reader(options, environment, teller);
  const settings: Settings = {
    apiKey: read.text("apiKey", ""),
    project: read.text("project", ""),
    baseUrl: read.address("baseUrl", "http://localhost:8000"),
    endpoint: read.address("endpoint", ""),
    environment: read.text("environment", ""),
    release: read.text("release", ""),
    enabled: read.flag("enabled", true),
    captureContent: read.flag("captureContent", true),
    masks: read.masks(),
    sampleRate: read.number("sampleRate", 1, 0, 1),
    flushAt: Math.floor(read.number("flushAt", 100, 1, 1000)),
    flushInterval: read.number("flushInterval", 5, 0.01, 3600),
    liveInterval: read.number("liveInterval", 1, 0, 3600),
    maxQueueBytes: read.number("maxQueueBytes", 33_554_432, 1024, 2 ** 40),
    spoolDir: read.text("spoolDir", ""),
    timeout: read.number("timeout", 10, 0.01, 3600),
    drainSeconds: read.number("drainSeconds", 5, 0, 3600),
    streamUsage: read.flag("streamUsage", true),
    serverBudgets: read.flag("serverBudgets", false),
    debug: isDebug,
  };
  return [settings, teller];
}

class Reader {
  constructor(
    private readonly options: LLMLabOptions,
    private readonly environment: Environment,
    private readonly teller: Teller,
  ) {}

  /** The option, or the environment's text; empty counts as not set. */
  private given(name: keyof LLMLabOptions): [unknown, string] {
    const own = this.options[name];
    if (own !== undefined && own !== null) return [own, name];
    const variable = `LLMLAB_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
    return [this.environment[variable] || undefined, variable];
  }

  private bad(name: string, value: unknown, rule: string, fallback: unknown): void {
    const shown = /key/i.test(name) ? "…" : JSON.stringify(value) ?? String(value);
    this.teller.once(`setting:${name}`, `${name} is ${shown.slice(0, 80)}: ${rule}. Using ${JSON.stringify(fallback)}.`);
  }

  text(name: keyof LLMLabOptions, fallback: string): string {
    const [value, label] = this.given(name);
    if (value === undefined) return fallback;
    if (typeof value === "string") return value.trim();
    this.bad(label, value, "it must be text", fallback);
    return fallback;
  }

  address(name: keyof LLMLabOptions, fallback: string): string {
    const value = this.text(name, fallback);
    if (!value || value.startsWith("/")) return value;
    try {
      if (/^https?:$/.test(new URL(value).protocol)) return value.replace(/\/+$/, "");
    } catch {
      // told below
    }
    this.bad(name, value, "it must be an address like https://llmlab.example.com", fallback);
    return fallback;
  }

  flag(name: keyof LLMLabOptions, fallback: boolean): boolean {
    const [value, label] = this.given(name);
    if (value === undefined || typeof value === "boolean") return value ?? fallback;
    const word = String(value).trim().toLowerCase();
    if (YES.has(word)) return true;
    if (NO.has(word)) return false;
    this.bad(label, value, "it must be true or false", fallback);
    return fallback;
  }

  number(name: keyof LLMLabOptions, fallback: number, least: number, most: number): number {
    const [value, label] = this.given(name);
    if (value === undefined) return fallback;
    const number = typeof value === "number" ? value : typeof value === "string" && value.trim() ? Number(value) : NaN;
    if (number >= least && number <= most) return number;
    this.bad(label, value, `it must be a number from ${least} to ${most}`, fallback);
    return fallback;
  }

  masks(): Mask[] {
    const [value, label] = this.given("mask");
    if (value === undefined) return [];
    const listed = typeof value === "string" ? value.split(",") : Array.isArray(value) ? value : [value];
    const masks: Mask[] = [];
    for (const item of listed as unknown[]) {
      const name = typeof item === "string" ? item.trim() : item;
      if (typeof name === "function" || MASK_NAMES.includes(name as never)) masks.push(name as Mask);
      else if (name !== "") this.unknownMask(label, item);
    }
    return masks;
  }

  private unknownMask(label: string, item: unknown): void {
    let shown: string;
    try {
      shown = String(item).slice(0, 80);
    } catch (error) {
      shown = reasonOf(error);
    }
    this.teller.once(`mask:${shown}`, `${label} names "${shown}": known are ${MASK_NAMES.join(", ")} and functions. It is left out.`);
  }
}
