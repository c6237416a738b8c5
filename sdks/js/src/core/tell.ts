/** What the SDK has to say: on the program's console, each fault once. It never throws. */

export interface Logger {
  warn(message: string): void;
  debug?(message: string): void;
}

const MAX_KEYS = 200;

export class Teller {
  private readonly told = new Map<string, number>();

  constructor(
    private readonly logger: Logger = { warn: (text) => console.warn(text), debug: (text) => console.debug(text) },
    private readonly isDebug = false,
  ) {}

  /** Says a fault the first time its key comes. */
  once(key: string, message: string): void {
    this.atMostEvery(key, Infinity, message);
  }

  /** Says a fault again only after some milliseconds. */
  atMostEvery(key: string, ms: number, message: string): void {
    const last = this.told.get(key);
    const now = performance.now();
    if (last !== undefined && now - last < ms) return;
    if (last === undefined && this.told.size >= MAX_KEYS) return;
    this.told.set(key, now);
    this.say("warn", message);
  }

  /** A fault that is over may be told again when it comes back. */
  forget(key: string): void {
    this.told.delete(key);
  }

  debug(message: string): void {
    if (this.isDebug) this.say("debug", message);
  }

  private say(level: "warn" | "debug", message: string): void {
    try {
      this.logger[level]?.(`[llmlab] ${message}`);
    } catch {
      // A logger that fails must not harm the program.
    }
  }
}

/** The first line of whatever was thrown. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error).slice(0, 300);
  const cause = error.cause instanceof Error ? ` (${error.cause.message || (error.cause as { code?: string }).code || ""})` : "";
  return `${error.message}${cause}`.split("\n", 1)[0]!.slice(0, 300);
}
