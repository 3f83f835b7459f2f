/**
 * The files of a store: `objects.<revision>.snapshot` holds every object at a revision, `changes.<revision>.log` the
 * writes after it. A snapshot is written beside the running log and counts only once it has been renamed into place.
 */
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { AnyObject } from "../../../core/api/kube.ts";
import type { Host } from "../../../io/host/host.ts";
import { LogFile, lineOf, readLog } from "./log-file.ts";
import type { Files, LogFileOptions, LogListener } from "./log-file.ts";

export interface Row {
  readonly b: string;
  readonly k: string;
  readonly v: AnyObject;
}

export type Record =
  | ({ readonly r: number; readonly o: "put" | "del" } & Row)
  | { readonly r: number; readonly o: "start" };

export interface Replayed {
  readonly snapshot: { readonly revision: number; readonly rows: readonly Row[] };
  readonly changes: readonly Record[];
}

const nodeFiles: Files = { open, rename };

const snapshotBytesDefault = 32 * 1024 * 1024;
/** Rows per write while a snapshot is made, so that requests are served in between. */
const rowsPerWrite = 200;

const numbered = (names: readonly string[], pattern: RegExp): number[] =>
  names
    .flatMap((name) => Number(pattern.exec(name)?.[1] ?? Number.NaN))
    .filter((n) => !Number.isNaN(n))
    .sort((a, b) => a - b);

export interface DiskOptions {
  readonly directory: string;
  readonly isSynced: boolean;
  readonly snapshotBytes?: number | undefined;
  readonly files?: Files | undefined;
  readonly listener: LogListener;
}

export class Disk {
  readonly replayed: Replayed;
  readonly #host: Host;
  readonly #directory: string;
  readonly #snapshotBytes: number;
  readonly #listener: LogListener;
  readonly #logOptions: LogFileOptions;
  #log: LogFile;
  #snapshotting: Promise<void> | undefined;
  #opening: Promise<boolean> | undefined;
  /** Records written while the next log is being opened. */
  #queued: Record[] | undefined;
  /** Size of the log from which on a snapshot is wanted. */
  #snapshotFrom: number;

  private constructor(host: Host, options: DiskOptions, logs: LogFileOptions, log: LogFile, replayed: Replayed) {
    this.#host = host;
    this.#log = log;
    this.#directory = options.directory;
    this.#listener = options.listener;
    this.#snapshotBytes = this.#snapshotFrom = options.snapshotBytes ?? snapshotBytesDefault;
    this.#logOptions = logs;
    this.replayed = replayed;
  }

  static async open(host: Host, options: DiskOptions): Promise<Disk> {
    const { directory, isSynced, files = nodeFiles } = options;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const names = await readdir(directory);
    for (const name of names) if (name.endsWith(".partial")) await rm(join(directory, name));
    const snapshotRevision = numbered(names, /^objects\.(\d+)\.snapshot$/).at(-1) ?? 0;
    const rows =
      snapshotRevision === 0 ? [] : await readSnapshot(join(directory, `objects.${snapshotRevision}.snapshot`));
    const logs = numbered(names, /^changes\.(\d+)\.log$/).filter((revision) => revision >= snapshotRevision);
    const changes: Record[] = [];
    for (const revision of logs) {
      const { records, tornBytes } = await readLog(join(directory, `changes.${revision}.log`));
      if (tornBytes > 0) host.log.warn("apiserver.log.torn", { directory, revision, tornBytes });
      // The checksum proves that this is what `append` wrote.
      for (const record of records) changes.push(JSON.parse(record) as Record);
    }
    const listener: LogListener = {
      written: (records) => options.listener.written(records),
      failed: (cause) => disk.#failed(cause),
    };
    const logOptions = { isSynced, files, listener };
    const log = await LogFile.open(join(directory, `changes.${logs.at(-1) ?? snapshotRevision}.log`), logOptions);
    const replayed = { snapshot: { revision: snapshotRevision, rows }, changes };
    const disk = new Disk(host, options, logOptions, log, replayed);
    return disk;
  }

  get wantsSnapshot(): boolean {
    return this.#snapshotting === undefined && this.#log.bytes > this.#snapshotFrom;
  }

  append(record: Record): void {
    if (this.#queued !== undefined) this.#queued.push(record);
    else this.#log.append(JSON.stringify(record));
  }

  /** After a failure: makes the log fit for writing again, or rejects. */
  async mend(): Promise<void> {
    await this.#opening;
    await this.#log.mend();
  }

  /** Starts a new log at `revision` and writes the rows behind it; older files go once the snapshot is in place. */
  snapshot(revision: number, rows: Iterable<Row>): void {
    const all = [...rows];
    this.#queued = [];
    this.#opening = this.#openLog(revision);
    this.#snapshotting = this.#write(revision, all)
      .catch(async (cause: unknown) => {
        // The logs hold everything that the snapshot would have held; the next one is tried when this log is full.
        this.#snapshotFailed(cause);
        await rm(this.#pathOf(revision, ".partial"), { force: true }).catch(() => undefined);
      })
      .finally(() => {
        this.#snapshotting = undefined;
      });
  }

  async close(): Promise<void> {
    await this.#opening;
    await this.#snapshotting;
    await this.#log.close();
  }

  #pathOf(revision: number, ending = ""): string {
    return join(this.#directory, `objects.${revision}.snapshot${ending}`);
  }

  #failed(cause: Error): void {
    // They come after what failed, and are taken back with it.
    if (this.#queued !== undefined) this.#queued = [];
    this.#listener.failed(cause);
  }

  #snapshotFailed(cause: unknown): void {
    this.#snapshotFrom = this.#log.bytes + this.#snapshotBytes;
    this.#host.log.error("apiserver.snapshot.failed", { directory: this.#directory, cause: String(cause) });
  }

  /** False when the old log goes on. */
  async #openLog(revision: number): Promise<boolean> {
    const old = this.#log;
    let next: LogFile | undefined;
    try {
      // A record of the new log must not be on disk before those of the old one.
      await old.flushed();
      next = await LogFile.open(join(this.#directory, `changes.${revision}.log`), this.#logOptions);
      await syncDirectory(this.#logOptions.files, this.#directory);
      this.#log = next;
      this.#snapshotFrom = this.#snapshotBytes;
    } catch (cause) {
      this.#snapshotFailed(cause);
    }
    const queued = this.#queued ?? [];
    this.#queued = undefined;
    this.#opening = undefined;
    for (const record of queued) this.append(record);
    const isOpen = this.#log === next;
    await (isOpen ? old : next)?.close().catch(() => undefined);
    return isOpen;
  }

  async #write(revision: number, rows: readonly Row[]): Promise<void> {
    if ((await this.#opening) !== true) return;
    const { files } = this.#logOptions;
    const path = this.#pathOf(revision);
    const handle = await files.open(`${path}.partial`, "w", 0o600);
    try {
      for (let at = 0; at < rows.length; at += rowsPerWrite) {
        const lines = rows.slice(at, at + rowsPerWrite).map((row) => lineOf(JSON.stringify(row)));
        await handle.appendFile(lines.join(""));
      }
      await handle.appendFile(lineOf(JSON.stringify({ rows: rows.length })));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await files.rename(`${path}.partial`, path);
    await syncDirectory(files, this.#directory);
    const names = await readdir(this.#directory);
    const isOld = (name: string) => Number(/^(?:objects|changes)\.(\d+)\./.exec(name)?.[1] ?? revision) < revision;
    for (const name of names.filter(isOld)) await rm(join(this.#directory, name));
    this.#host.log.info("apiserver.snapshot", { directory: this.#directory, revision, objects: rows.length });
  }
}

async function readSnapshot(path: string): Promise<readonly Row[]> {
  const { records } = await readLog(path);
  // The checksum proves that this is what `#write` wrote.
  const parsed = records.map((record) => JSON.parse(record) as Row | { rows: number });
  const rows = parsed.filter((row): row is Row => "b" in row);
  const end = parsed.at(-1);
  if (end === undefined || !("rows" in end) || end.rows !== rows.length) {
    throw new Error(`The snapshot ${path} is not whole. Restore it, or remove the data directory to begin anew.`);
  }
  return rows;
}

async function syncDirectory(files: Files, path: string): Promise<void> {
  const handle = await files.open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
