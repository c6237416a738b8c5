/** What a shape of bodies reads from an answer, before request and answer become one step. */

// Provider bodies are whatever a server sent: every read below checks what it finds.
export type Json = Record<string, any>;

export interface StepError {
  type: string;
  message: string;
}

/** One answer, whole or folded from a stream. Undefined means not known. */
export class Answer {
  model?: string | undefined;
  responseId?: string | undefined;
  finishReason?: string | undefined;
  serviceTier?: string | undefined;
  usage?: Json | undefined;
  output?: unknown;
  error?: StepError | undefined;
  attributes: Json = {};
  firstTokenAt?: number | undefined;
  /** False for a stream whose end never came. */
  isWhole = true;
}

/** The value if it is a text with something in it. */
export function text(value: unknown): string | undefined {
  return typeof value === "string" && value ? value : undefined;
}

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value if it is an object, else an empty one. */
export function mapping(value: unknown): Json {
  return isObject(value) ? value : {};
}

/** The value if it is an object with something in it. */
export function filled(value: unknown): Json | undefined {
  return isObject(value) && Object.keys(value).length > 0 ? value : undefined;
}

/** The objects of a list. */
export function objects(value: unknown): Json[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

/** A single value for itself, several as a list, undefined for none. */
export function oneOrList(values: unknown[]): unknown {
  return values.length === 1 ? values[0] : values.length ? values : undefined;
}

/** Type and message of an error body as OpenAI and Anthropic send it, and of an error event. */
export function errorOf(body: unknown, fallbackType: string, fallbackMessage: string): StepError {
  let error: Json | undefined = filled(mapping(body).error);
  if (!error && mapping(body).type === "error") {
    const { type: _, ...rest } = mapping(body);
    error = rest;
  }
  const code = error?.code;
  const kind = text(error?.type) ?? text(typeof code === "number" ? String(code) : code);
  return { type: kind ?? fallbackType, message: text(error?.message) ?? fallbackMessage };
}

/** The parts of a fold in the order of their index. */
export function byIndex<T>(parts: Map<number, T>): [number, T][] {
  return [...parts].sort((one, other) => one[0] - other[0]);
}

/** The value under a key that a Map does not hold yet is made. */
export function setDefault<T>(map: Map<number, T>, key: number, make: () => T): T {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}

/** Sets a key even when it is named `__proto__`, as JSON.parse does. */
export function put(target: Json, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    target[key] = value;
  }
}
