/** LLMLab for Node. See the README. */

import { LLMLabClient } from "./client.js";
import { nodePlatform } from "./core/platform_node.js";
import type { Recorder } from "./core/recorder.js";
import type { LLMLabOptions } from "./core/settings.js";
import { setDefault, setMaker } from "./default_client.js";
import { classesOf, CLIENTS, imported, required } from "./instrument/modules.js";
import { patch, setCallInScope, unpatch } from "./instrument/stainless.js";

export * from "./exports.js";

// One active recorder for patched classes, whichever copy of the SDK patched them.
const ACTIVE = Symbol.for("llmlab.instrument");
const shared = globalThis as { [ACTIVE]?: { recorder: Recorder | undefined } };
const active = (shared[ACTIVE] ??= { recorder: undefined });
setCallInScope(() => nodePlatform.store.get()?.call);

export interface InstrumentOptions {
  /** Classes to record instead of the installed ones: `instrument({ clients: [OpenAI, Anthropic] })`. */
  clients?: readonly unknown[];
}

export class LLMLab extends LLMLabClient {
  private readonly patched = new Set<unknown>();

  constructor(options: LLMLabOptions = {}) {
    super(options, nodePlatform);
    setDefault(this);
  }

  /**
   * Records every call of the installed `openai` and `@anthropic-ai/sdk`. What `require` gives is recorded at once, what
   * `import` gives when the promise is done: `await llm.instrument()`. Never rejects; resolves to the names found.
   */
  instrument(options: InstrumentOptions = {}): Promise<string[]> {
    if (!this.isOn) return Promise.resolve([]);
    active.recorder = this.recorder;
    const found = new Set<string>();
    for (const client of options.clients ?? []) if (this.patchClass(client)) found.add((client as { name?: string }).name ?? "client");
    if (options.clients) return Promise.resolve([...found]);
    for (const name of CLIENTS) this.patchAll(name, required(name), found);
    return this.instrumentImported(found);
  }

  private async instrumentImported(found: Set<string>): Promise<string[]> {
    for (const name of CLIENTS) this.patchAll(name, await imported(name), found);
    if (!found.size) this.recorder.teller.once("instrument", "instrument() found neither openai nor @anthropic-ai/sdk. In a bundle pass the classes: instrument({ clients: [OpenAI] }), or wrap(client).");
    return [...found];
  }

  private patchAll(name: string, module: unknown, found: Set<string>): void {
    for (const item of classesOf(module)) if (this.patchClass(item)) found.add(name);
  }

  private patchClass(item: unknown): boolean {
    try {
      if (!patch(item, () => active.recorder)) return false;
      this.patched.add(item);
      return true;
    } catch (error) {
      this.recorder.failed("instrument", error);
      return false;
    }
  }

  /** Undoes `instrument`. */
  uninstrument(): void {
    if (active.recorder === this.recorder) active.recorder = undefined;
    for (const item of this.patched) unpatch(item);
    this.patched.clear();
  }

  override async shutdown(timeout = 5): Promise<boolean> {
    const isDone = await super.shutdown(timeout);
    this.uninstrument();
    return isDone;
  }
}

setMaker(() => new LLMLab());
