/** What differs between Node and browsers. The core knows only this. */

import type { ContextStore } from "./context.js";
import type { Settings } from "./settings.js";
import type { Teller } from "./tell.js";
import type { Spool } from "../delivery/spool_types.js";

export interface Platform {
  readonly isBrowser: boolean;
  readonly store: ContextStore;
  environment(): Record<string, string | undefined>;
  randomBytes(into: Uint8Array): void;
  gzip(text: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Runs soon, after what waits now. */
  soon(work: () => void): void;
  /** A timer that does not keep the process alive. */
  later(work: () => void, ms: number): () => void;
  openSpool(settings: Settings, teller: Teller): Spool | undefined;
  /** Calls back when the program is about to end. */
  onExit(hooks: ExitHooks): () => void;
}

export interface ExitHooks {
  readonly isIdle: boolean;
  /** Nothing is left to do, or a signal came: there is time to send. Tells whether all arrived. */
  flush(): Promise<boolean>;
  /** The process ends now: only synchronous work is possible. */
  last(): void;
}
