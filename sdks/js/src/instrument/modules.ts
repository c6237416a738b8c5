/** Finds the installed clients. Packages ship two copies of their classes, one for `import` and one for `require`: both count. */

import * as fs from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { isObject } from "../capture/answer.js";

export const CLIENTS = ["openai", "@anthropic-ai/sdk"] as const;

/** Where the program's packages are looked for: beside its main file, its working directory, and ourselves. */
function bases(): string[] {
  const found = [join(process.cwd(), "package.json")];
  if (process.argv[1]) found.unshift(process.argv[1]);
  return found;
}

function resolved(name: string): string | undefined {
  for (const base of bases()) {
    try {
      return createRequire(base).resolve(name);
    } catch {
      // not there
    }
  }
  return undefined;
}

/** The copy that `require` gives. */
export function required(name: string): unknown {
  const path = resolved(name);
  if (!path) return undefined;
  try {
    return createRequire(path)(path);
  } catch {
    return undefined;
  }
}

/** The copy that `import` gives. */
export async function imported(name: string): Promise<unknown> {
  const path = resolved(name);
  const entry = path && importEntry(name, path);
  try {
    return entry ? await import(pathToFileURL(entry).href) : undefined;
  } catch {
    return undefined;
  }
}

/** The file that the package names for `import`. */
function importEntry(name: string, path: string): string | undefined {
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    const manifest = join(folder, "package.json");
    if (!fs.existsSync(manifest)) continue;
    const about: unknown = JSON.parse(fs.readFileSync(manifest, "utf8"));
    if (!isObject(about) || about.name !== name) continue;
    const entry = pick(isObject(about.exports) ? about.exports["."] ?? about.exports : about.exports);
    return entry ? join(folder, entry) : path;
  }
  return undefined;
}

function pick(entry: unknown): string | undefined {
  if (typeof entry === "string") return entry;
  if (!isObject(entry)) return undefined;
  for (const condition of ["node", "import", "default"]) {
    const found = condition in entry ? pick(entry[condition]) : undefined;
    if (found) return found;
  }
  return undefined;
}

/** The classes of a module whose calls can be recorded. */
export function classesOf(module: unknown): unknown[] {
  if ((typeof module !== "object" && typeof module !== "function") || module === null) return [];
  const named = module as Record<string, unknown>;
  const inner = isObject(named.default) || typeof named.default === "function" ? (named.default as Record<string, unknown>) : {};
  const all = [module, inner, inner.default, ...["OpenAI", "Anthropic", "BaseAnthropic"].flatMap((key) => [named[key], inner[key]])];
  return [...new Set(all.filter((item) => typeof item === "function"))];
}
