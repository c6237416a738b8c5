/** Node: AsyncLocalStorage, zlib, files, signals. */

import { AsyncLocalStorage } from "node:async_hooks";
import { randomFillSync } from "node:crypto";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { openSpool } from "../delivery/spool_node.js";
import type { ContextStore, Scope } from "./context.js";
import type { ExitHooks, Platform } from "./platform.js";

const zip = promisify(gzip);
const SIGNALS = ["SIGTERM", "SIGINT"] as const;
const SIGNAL_MS = 5000;

// One store for all copies of the SDK in the process: its ESM and its CommonJS build see the same open steps.
const STORE = Symbol.for("llmlab.context");
const shared = globalThis as { [STORE]?: AsyncLocalStorage<Scope> };

class NodeStore implements ContextStore {
  private readonly storage = (shared[STORE] ??= new AsyncLocalStorage<Scope>());

  get(): Scope | undefined {
    return this.storage.getStore();
  }

  run<T>(scope: Scope, work: () => T): T {
    return this.storage.run(scope, work);
  }
}

export const nodePlatform: Platform = {
  isBrowser: false,
  store: new NodeStore(),
  environment: () => process.env,
  randomBytes: (into) => void randomFillSync(into),
  gzip: async (text) => {
    const zipped = await zip(text, { level: 1 });
    return new Uint8Array(zipped.buffer as ArrayBuffer, zipped.byteOffset, zipped.byteLength);
  },
  soon: (work) => void setImmediate(work),
  later: (work, ms) => {
    const timer = setTimeout(work, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
  openSpool,
  onExit,
};

const EXIT = Symbol.for("llmlab.exit");
const exits = globalThis as { [EXIT]?: Set<ExitHooks> };

/** Sends at the natural end and on SIGTERM and SIGINT; a signal that nobody else handles then ends the process as it would have. */
function onExit(hooks: ExitHooks): () => void {
  const all = (exits[EXIT] ??= new Set());
  all.add(hooks);
  if (all.size === 1) install(all);
  return () => {
    all.delete(hooks);
  };
}

/** One set of handlers for all clients; they stay, and do nothing once no client is left. */
function install(all: Set<ExitHooks>): void {
  let hasFailed = false;
  const flush = async (): Promise<void> => {
    const results = await Promise.all([...all].map((hooks) => hooks.flush()));
    hasFailed = results.includes(false);
  };
  const beforeExit = (): void => {
    // Sending keeps the process alive, after which the event comes again.
    if (!hasFailed && [...all].some((hooks) => !hooks.isIdle)) void flush();
  };
  const last = (): void => {
    for (const hooks of all) hooks.last();
  };
  const stop = (): void => {
    process.off("beforeExit", beforeExit);
    process.off("exit", last);
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    const isOurs = process.listenerCount(signal) === 1;
    let timer: ReturnType<typeof setTimeout>;
    const end = (): void => {
      clearTimeout(timer);
      if (!isOurs) return;
      last();
      all.clear();
      stop();
      process.kill(process.pid, signal);
    };
    timer = setTimeout(end, SIGNAL_MS);
    void flush().finally(end);
  };
  process.on("beforeExit", beforeExit);
  process.on("exit", last);
  for (const signal of SIGNALS) process.on(signal, onSignal);
}
