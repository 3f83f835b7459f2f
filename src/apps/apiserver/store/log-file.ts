/**
 * One append-only file of checksummed lines, written in groups: everything that waits when a write begins goes out with
 * one write and one fdatasync. After a failure it takes nothing more until it was mended: then it ends where its last
 * group ended that did reach the disk. Owns its file handle; knows nothing of objects.
 */
import { readFile, truncate } from "node:fs/promises";
import type { FileHandle, open, rename } from "node:fs/promises";
import { crc32 } from "node:zlib";

const checksumOf = (text: string): string => (crc32(text) >>> 0).toString(16).padStart(8, "0");

export const lineOf = (record: string): string => `${checksumOf(record)} ${record}\n`;

/** Undefined when the line is not what was written. */
function recordOf(line: string): string | undefined {
  const record = line.slice(9);
  return line[8] === " " && line.slice(0, 8) === checksumOf(record) ? record : undefined;
}

export interface ReadLog {
  readonly records: readonly string[];
  /** Bytes at the end that a crash left unfinished. */
  readonly tornBytes: number;
}

/**
 * Reads the records of a file. A torn end is what a crash leaves, and is cut off from the file; a bad line with good
 * lines behind it is a damaged disk, and refused.
 */
export async function readLog(path: string): Promise<ReadLog> {
  const bytes = await readFile(path);
  const records: string[] = [];
  let start = 0;
  while (start < bytes.length) {
    const end = bytes.indexOf(10, start);
    const record = end < 0 ? undefined : recordOf(bytes.toString("utf8", start, end));
    if (record === undefined) break;
    records.push(record);
    start = end + 1;
  }
  const tornBytes = bytes.length - start;
  if (tornBytes > 0) {
    if (hasGoodLine(bytes, bytes.indexOf(10, start) + 1)) {
      throw new Error(
        `The log ${path} is damaged at byte ${start}, before records that are whole. ` +
          `Restore the file, or remove the data directory to begin with an empty cluster.`,
      );
    }
    await truncate(path, start);
  }
  return { records, tornBytes };
}

function hasGoodLine(bytes: Buffer, from: number): boolean {
  let start = from;
  while (start > 0 && start < bytes.length) {
    const end = bytes.indexOf(10, start);
    if (end < 0) return false;
    if (recordOf(bytes.toString("utf8", start, end)) !== undefined) return true;
    start = end + 1;
  }
  return false;
}

/** How files are opened and put in place; tests give a disk that fails. */
export interface Files {
  readonly open: typeof open;
  readonly rename: typeof rename;
}

export interface LogListener {
  /** The next so many records are on disk, in the order in which they were appended. */
  written(records: number): void;
  /** What was appended and not yet called written is not, and will not be, in the file. */
  failed(cause: Error): void;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (cause: unknown) => void;
}

export interface LogFileOptions {
  readonly isSynced: boolean;
  readonly files: Files;
  readonly listener: LogListener;
}

export class LogFile {
  readonly path: string;
  readonly #handle: FileHandle;
  readonly #options: LogFileOptions;
  #pending: string[] = [];
  #waiters: Waiter[] = [];
  #writing: Promise<void> | undefined;
  #failure: Error | undefined;
  #bytes = 0;
  /** Length of the file as far as it is known to be good. */
  #goodBytes: number;

  private constructor(path: string, handle: FileHandle, goodBytes: number, options: LogFileOptions) {
    this.path = path;
    this.#handle = handle;
    this.#goodBytes = goodBytes;
    this.#options = options;
  }

  static async open(path: string, options: LogFileOptions): Promise<LogFile> {
    const handle = await options.files.open(path, "a", 0o600);
    try {
      return new LogFile(path, handle, (await handle.stat()).size, options);
    } catch (cause) {
      await handle.close();
      throw cause;
    }
  }

  /** Bytes appended since opening. */
  get bytes(): number {
    return this.#bytes;
  }

  append(record: string): void {
    if (this.#failure !== undefined) throw this.#failure;
    const line = lineOf(record);
    this.#bytes += line.length;
    this.#pending.push(line);
    this.#writing ??= this.#writeAll();
  }

  /** Resolves when everything appended so far is on disk. */
  flushed(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#writing === undefined) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** Cuts off what a failed write may have left, so that appending is safe again. Rejects while the disk does not obey. */
  async mend(): Promise<void> {
    await this.#writing;
    if (this.#failure === undefined) return;
    await this.#cut();
    this.#failure = undefined;
  }

  async close(): Promise<void> {
    await this.#writing;
    if (this.#failure !== undefined) await this.#cut().catch(() => undefined);
    await this.#handle.close();
  }

  async #cut(): Promise<void> {
    await this.#handle.truncate(this.#goodBytes);
    if (this.#options.isSynced) await this.#handle.datasync();
  }

  async #writeAll(): Promise<void> {
    // One turn of the loop lets every request that is ready now join the first group.
    await Promise.resolve();
    while (this.#pending.length > 0) {
      const lines = this.#pending;
      const waiters = this.#waiters;
      this.#pending = [];
      this.#waiters = [];
      const text = lines.join("");
      try {
        await this.#handle.appendFile(text);
        if (this.#options.isSynced) await this.#handle.datasync();
      } catch (cause) {
        // At once, so that what is refused now is not there after a crash; the disk may refuse this too.
        await this.#cut().catch(() => undefined);
        this.#fail(cause, waiters);
        break;
      }
      this.#goodBytes += Buffer.byteLength(text);
      this.#options.listener.written(lines.length);
      for (const waiter of waiters) waiter.resolve();
    }
    this.#writing = undefined;
    // Those who asked while the last group was being written were taken with it or with a later one.
    for (const waiter of this.#waiters.splice(0)) waiter.resolve();
  }

  #fail(cause: unknown, waiters: readonly Waiter[]): void {
    const why = cause instanceof Error ? cause.message : String(cause);
    this.#failure = new Error(`${this.path} cannot be written: ${why}`, { cause });
    this.#pending = [];
    for (const waiter of [...waiters, ...this.#waiters.splice(0)]) waiter.reject(this.#failure);
    this.#options.listener.failed(this.#failure);
  }
}
