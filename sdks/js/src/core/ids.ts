/** Ids and context of W3C Trace Context, and the decision to keep a trace. */

/** A step of another process that ours hang under. */
export interface RemoteContext {
  traceId: string;
  spanId: string;
  sampled: boolean;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const POOL_SIZE = 4096;

/** Makes ids from a pool of random bytes: one call to the generator for many ids. */
export class Ids {
  private pool = new Uint8Array(POOL_SIZE);
  private used = POOL_SIZE;

  constructor(private readonly fill: (pool: Uint8Array) => void) {}

  traceId(): string {
    return this.hex(16);
  }

  spanId(): string {
    return this.hex(8);
  }

  private hex(bytes: number): string {
    if (this.used + bytes > POOL_SIZE) {
      this.fill(this.pool);
      this.used = 0;
    }
    let id = "";
    let any = 0;
    for (let place = 0; place < bytes; place++) {
      const byte = this.pool[this.used++]!;
      any |= byte;
      id += HEX[byte];
    }
    return any ? id : this.hex(bytes);
  }
}

export function formatTraceparent(context: RemoteContext): string {
  return `00-${context.traceId}-${context.spanId}-${context.sampled ? "01" : "00"}`;
}

/** The context of a header; null for one that breaks the standard. */
export function parseTraceparent(header: unknown): RemoteContext | null {
  if (typeof header !== "string" || header.length > 512) return null;
  const found = TRACEPARENT.exec(header.trim());
  if (!found) return null;
  const [, version, traceId, spanId, flags, more] = found as unknown as string[];
  if (version === "ff" || (version === "00" && more !== undefined)) return null;
  if (/^0+$/.test(traceId!) || /^0+$/.test(spanId!)) return null;
  return { traceId: traceId!, spanId: spanId!, sampled: (parseInt(flags!, 16) & 1) === 1 };
}

/** Whether a trace is kept: its last 8 bytes as a fraction of 2^64 lie below the rate. Compared exactly. */
export function isSampled(traceId: string, rate: number): boolean {
  if (rate >= 1) return true;
  if (!(rate > 0)) return false;
  const low = BigInt(`0x${traceId.slice(16)}`);
  const bound = rate * 2 ** 64; // exact: only the exponent changes
  return low < BigInt(Math.ceil(bound));
}
