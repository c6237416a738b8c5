/** The spool on disk: append-only files `<pid>-<random>.jsonl`, deleted when all their lines are acknowledged. */

import * as fs from "node:fs";
import { join } from "node:path";
import type { Settings } from "../core/settings.js";
import { reasonOf, type Teller } from "../core/tell.js";
import type { Spool, SpoolLine } from "./spool_types.js";

const FILE = /^(\d+)-([0-9a-z]+)\.jsonl$/;
const ROTATE_AT = 8 * 1024 * 1024;
/** The spool may hold this many times what memory may. */
const DISK_FACTOR = 10;

class SpoolFile {
  size = 0;
  lines = 0;
  isFinished = false;
  fd: number | undefined;

  constructor(public path: string) {}
}

interface Line extends SpoolLine {
  readonly file: SpoolFile;
}

// Files of this process, whichever copy of the SDK opened them.
const OWN = Symbol.for("llmlab.spool");
const shared = globalThis as { [OWN]?: Set<string> };
const own: Set<string> = (shared[OWN] ??= new Set());

/** Opens the spool; undefined, told once, when the directory cannot be used. */
export function openSpool(settings: Settings, teller: Teller): Spool | undefined {
  if (!settings.spoolDir) return undefined;
  try {
    fs.mkdirSync(settings.spoolDir, { recursive: true, mode: 0o700 });
    fs.accessSync(settings.spoolDir, fs.constants.W_OK);
    return new DiskSpool(settings.spoolDir, settings.maxQueueBytes * DISK_FACTOR, teller);
  } catch (error) {
    teller.once("spool", `spoolDir ${settings.spoolDir} cannot be used (${reasonOf(error)}): steps are kept in memory only.`);
    return undefined;
  }
}

class DiskSpool implements Spool {
  private current: SpoolFile | undefined;
  private bytes = 0;

  constructor(
    private readonly directory: string,
    private readonly maxBytes: number,
    private readonly teller: Teller,
  ) {}

  write(lines: string[]): Line[] | undefined {
    const text = lines.map((line) => `${line}\n`);
    const size = text.reduce((sum, line) => sum + Buffer.byteLength(line), 0);
    if (this.bytes + size > this.maxBytes) {
      this.teller.atMostEvery("spool_full", 60_000, `The spool in ${this.directory} is full (${this.maxBytes} bytes): newer steps are kept in memory only.`);
      return undefined;
    }
    try {
      return this.append(text);
    } catch (error) {
      this.teller.once("spool", `The spool in ${this.directory} cannot be written (${reasonOf(error)}): steps are kept in memory only.`);
      return undefined;
    }
  }

  private append(text: string[]): Line[] {
    const file = this.writable();
    const lines: Line[] = [];
    for (const line of text) {
      const length = Buffer.byteLength(line);
      lines.push({ file, offset: file.size, length: length - 1 });
      file.size += length;
    }
    try {
      const all = Buffer.from(text.join(""));
      for (let at = 0; at < all.length; ) at += fs.writeSync(file.fd!, all, at);
    } catch (error) {
      // Half a line may be there: nothing more goes into this file.
      file.size = fs.fstatSync(file.fd!).size;
      this.retire(file);
      throw error;
    }
    file.lines += lines.length;
    this.bytes += lines.reduce((sum, line) => sum + line.length + 1, 0);
    return lines;
  }

  private writable(): SpoolFile {
    if (this.current && this.current.size < ROTATE_AT) return this.current;
    if (this.current) this.retire(this.current);
    const path = this.freshPath();
    const file = new SpoolFile(path);
    file.fd = fs.openSync(path, "wx+", 0o600);
    own.add(path);
    return (this.current = file);
  }

  private freshPath(): string {
    const random = Math.floor(Math.random() * 2 ** 48).toString(36) + Date.now().toString(36);
    return join(this.directory, `${process.pid}-${random}.jsonl`);
  }

  /** No more lines come; gone when those it has are done. */
  private retire(file: SpoolFile): void {
    file.isFinished = true;
    if (this.current === file) this.current = undefined;
    if (file.lines === 0) this.remove(file);
  }

  read(line: SpoolLine): string | undefined {
    const { file, offset, length } = line as Line;
    try {
      file.fd ??= fs.openSync(file.path, "r");
      const bytes = Buffer.alloc(length);
      return fs.readSync(file.fd, bytes, 0, length, offset) === length ? bytes.toString("utf8") : undefined;
    } catch (error) {
      this.teller.once("spool_read", `A file of the spool could not be read again (${reasonOf(error)}).`);
      return undefined;
    }
  }

  done(line: SpoolLine): void {
    const { file, length } = line as Line;
    file.lines--;
    this.bytes -= length + 1;
    if (file.lines > 0) return;
    if (file === this.current) this.current = undefined;
    this.remove(file);
  }

  private remove(file: SpoolFile): void {
    try {
      if (file.fd !== undefined) fs.closeSync(file.fd);
      file.fd = undefined;
      fs.unlinkSync(file.path);
    } catch (error) {
      this.teller.debug(`could not remove ${file.path}: ${reasonOf(error)}`);
    }
    own.delete(file.path);
  }

  adopt(): { line: Line; text: string }[] {
    const found: { line: Line; text: string }[] = [];
    try {
      for (const name of fs.readdirSync(this.directory)) {
        const path = this.claimed(name);
        if (path) found.push(...this.linesOf(path));
      }
    } catch (error) {
      this.teller.once("spool_adopt", `Left files of the spool could not be read (${reasonOf(error)}).`);
    }
    if (found.length) this.teller.debug(`sending ${found.length} lines that another process left`);
    return found;
  }

  /** A file whose owner is gone, taken over by renaming it: only one process succeeds. */
  private claimed(name: string): string | undefined {
    const parts = FILE.exec(name);
    const path = join(this.directory, name);
    if (!parts || own.has(path) || isAlive(Number(parts[1]), path)) return undefined;
    const mine = this.freshPath();
    try {
      fs.renameSync(path, mine);
      own.add(mine);
      return mine;
    } catch {
      return undefined; // another process was faster
    }
  }

  private linesOf(path: string): { line: Line; text: string }[] {
    const bytes = fs.readFileSync(path);
    const file = new SpoolFile(path);
    file.isFinished = true;
    file.size = bytes.length;
    const lines: { line: Line; text: string }[] = [];
    for (let start = 0; start < bytes.length; ) {
      const newline = bytes.indexOf(10, start);
      if (newline < 0) break; // the process died while it wrote this line
      const text = bytes.toString("utf8", start, newline);
      if (isItem(text)) lines.push({ line: { file, offset: start, length: newline - start }, text });
      start = newline + 1;
    }
    file.lines = lines.length;
    this.bytes += lines.reduce((sum, { line }) => sum + line.length + 1, 0);
    if (!lines.length) this.remove(file);
    return lines;
  }

  /** What is not acknowledged stays on disk for the next process. */
  close(): void {
    if (this.current && this.current.lines === 0) this.remove(this.current);
    this.current = undefined;
  }
}

function isItem(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && ("trace_id" in value || "score" in value);
  } catch {
    return false;
  }
}

/** Whether the process that wrote a file still runs. In containers a new process often has the number of the one before. */
function isAlive(pid: number, path: string): boolean {
  if (pid === process.pid) {
    const startedAt = Date.now() - process.uptime() * 1000;
    try {
      return fs.statSync(path).mtimeMs >= startedAt;
    } catch {
      return true;
    }
  }
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
