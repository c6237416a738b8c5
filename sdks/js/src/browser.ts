/** LLMLab for browsers: no key, no Node. Steps go to an address of your own backend, which forwards them. */

import { LLMLabClient } from "./client.js";
import { browserPlatform } from "./core/platform_browser.js";
import type { LLMLabOptions } from "./core/settings.js";
import { setDefault } from "./default_client.js";

export * from "./exports.js";

export type BrowserOptions = Omit<LLMLabOptions, "apiKey" | "baseUrl" | "spoolDir" | "project">;

let isWarned = false;

export class LLMLab extends LLMLabClient {
  constructor(options: BrowserOptions = {}) {
    const hasKey = Boolean((options as LLMLabOptions).apiKey);
    if (hasKey && !isWarned) {
      isWarned = true;
      console.warn("[llmlab] A key was given in a browser, where everybody can read it: nothing is recorded. Remove it (and revoke it in LLMLab); set endpoint to an address of your own backend.");
    }
    super({ ...options, apiKey: undefined, spoolDir: undefined }, browserPlatform, !hasKey);
    setDefault(this);
  }

  /** Classes of clients to record; nothing can be found by itself in a bundle. */
  instrument(options: { clients: readonly (new (...given: any[]) => object)[] }): Promise<string[]> {
    const found: string[] = [];
    for (const client of options.clients) {
      this.wrap(client.prototype as object);
      found.push(client.name);
    }
    return Promise.resolve(found);
  }
}
