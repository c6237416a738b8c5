/** Browsers: no secrets, no disk, no process. What is open when the page goes is sent then. */

import { StackStore } from "./context.js";
import type { Platform } from "./platform.js";

export const browserPlatform: Platform = {
  isBrowser: true,
  store: new StackStore(),
  environment: () => ({}),
  randomBytes: (into) => void crypto.getRandomValues(into as Uint8Array<ArrayBuffer>),
  gzip: async (text) => {
    if (typeof CompressionStream === "undefined") return undefined;
    const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  },
  soon: (work) => void setTimeout(work, 0),
  later: (work, ms) => {
    const timer = setTimeout(work, ms);
    return () => clearTimeout(timer);
  },
  openSpool: () => undefined,
  onExit: (hooks) => {
    if (typeof document === "undefined") return () => undefined;
    const hidden = (): void => {
      if (document.visibilityState === "hidden") void hooks.flush();
    };
    document.addEventListener("visibilitychange", hidden);
    return () => document.removeEventListener("visibilitychange", hidden);
  },
};
