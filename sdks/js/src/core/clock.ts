/** One clock: the system's time with the steadiness and the fractions of the monotonic one. */

// Beyond this the system's clock was set: we follow it.
const LEAP_MS = 50;
let offset = Date.now() - performance.now();

/** Milliseconds since 1970, with fractions. */
export function now(): number {
  const wall = Date.now();
  const steady = performance.now() + offset;
  if (Math.abs(wall - steady) <= LEAP_MS) return steady;
  offset = wall - performance.now();
  return wall;
}

/** RFC 3339 in UTC with microseconds. */
export function timestamp(ms: number): string {
  const whole = Math.floor(ms);
  const micros = Math.min(999, Math.floor((ms - whole) * 1000));
  return new Date(whole).toISOString().slice(0, -1) + String(micros).padStart(3, "0") + "Z";
}
