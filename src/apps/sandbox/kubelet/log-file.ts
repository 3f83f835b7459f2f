/**
 * The log of one run of a container, in a file of `<time> <stream> <F|P> <text>` lines. Owns the file; readers follow it
 * without missing or repeating a line, since writing and telling is one synchronous step.
 */
import { closeSync, createReadStream, existsSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import type { Host } from "../../../io/host/host.ts";
import { isoMicros, msOfIso } from "../../../io/host/iso-time.ts";
import type { LogOptions } from "../../apiserver/node-streams.ts";

/** One file; with the one before it, what a container's log may take on disk is twice this. */
const fileBytesMax = 10 * 1024 * 1024;
/** A line longer than this is written in parts. */
const lineBytesMax = 16 * 1024;
/** A reader that lets this much pile up is cut off. */
const readerBytesMax = 16 * 1024 * 1024;

type Heard = (line: string) => void;

export class LogFile {
  readonly path: string;
  private readonly host: Host;
  private fd: number;
  /** Bytes in the current file. */
  size = 0;
  private isClosed = false;
  private readonly partial = { stdout: "", stderr: "" };
  private readonly readers = new Set<{ line: Heard; end: () => void }>();

  constructor(host: Host, path: string) {
    this.host = host;
    this.path = path;
    mkdirSync(dirname(path), { recursive: true });
    this.fd = openSync(path, "w", 0o640);
  }

  write(stream: "stdout" | "stderr", chunk: Buffer): void {
    if (this.isClosed) return;
    const lines = (this.partial[stream] + chunk.toString("utf8")).split("\n");
    this.partial[stream] = lines.pop() ?? "";
    for (const line of lines) this.append(stream, "F", line);
    if (this.partial[stream].length > lineBytesMax) {
      this.append(stream, "P", this.partial[stream]);
      this.partial[stream] = "";
    }
  }

  close(): void {
    if (this.isClosed) return;
    for (const stream of ["stdout", "stderr"] as const) {
      if (this.partial[stream] !== "") this.append(stream, "P", this.partial[stream]);
    }
    this.isClosed = true;
    closeSync(this.fd);
    for (const { end } of this.readers) end();
    this.readers.clear();
  }

  private append(stream: string, tag: "F" | "P", text: string): void {
    const line = `${isoMicros(this.host.clock.now())} ${stream} ${tag} ${text}\n`;
    if (this.size > fileBytesMax) this.rotate();
    this.size += writeSync(this.fd, line);
    for (const reader of this.readers) reader.line(line);
  }

  private rotate(): void {
    closeSync(this.fd);
    renameSync(this.path, `${this.path}.1`);
    this.fd = openSync(this.path, "w", 0o640);
    this.size = 0;
  }

  /** Calls `line` for every line from now on; `end` when the log is complete. */
  follow(line: Heard, end: () => void): () => void {
    if (this.isClosed) {
      end();
      return () => undefined;
    }
    const reader = { line, end };
    this.readers.add(reader);
    return () => this.readers.delete(reader);
  }
}

export const removeLog = (path: string): void => {
  rmSync(path, { force: true });
  rmSync(`${path}.1`, { force: true });
};

interface Line {
  readonly timeMs: number;
  readonly shown: string;
}

function parse(line: string, withTime: boolean): Line {
  const [time = "", , tag = "F"] = line.split(" ", 3);
  const text = line.slice(line.indexOf(` ${tag} `) + tag.length + 2).replace(/\n$/, "");
  const end = tag === "F" ? "\n" : "";
  return { timeMs: msOfIso(time) ?? 0, shown: `${withTime ? `${time} ` : ""}${text}${end}` };
}

/** What `kubectl logs` gets. `live` is the log when it is still written to. */
export function readLog(path: string, live: LogFile | undefined, options: LogOptions): Readable {
  const out = new Readable({ read: () => undefined });
  out.on("error", () => undefined);
  let bytesLeft = options.limitBytes ?? Number.POSITIVE_INFINITY;
  const push = (text: string) => {
    if (bytesLeft <= 0 || out.destroyed) return;
    const bytes = Buffer.from(text, "utf8").subarray(0, Math.min(bytesLeft, Number.MAX_SAFE_INTEGER));
    bytesLeft -= bytes.length;
    if (out.readableLength > readerBytesMax) out.destroy(new Error("The reader of this log is too slow."));
    else out.push(bytes);
    if (bytesLeft <= 0) out.push(null);
  };
  const pending: string[] = [];
  let isReplayed = false;
  let hasEnded = !options.follow || live === undefined;
  const finish = () => {
    if (isReplayed && hasEnded && !out.destroyed && bytesLeft > 0) out.push(null);
  };
  // Subscribed before the file is read, and the file read only up to here: no gap and no repetition.
  const stop =
    options.follow && live !== undefined
      ? live.follow(
          (line) => (isReplayed ? push(parse(line, options.timestamps).shown) : void pending.push(line)),
          () => {
            hasEnded = true;
            finish();
          },
        )
      : () => undefined;
  out.on("close", stop);
  options.signal.addEventListener("abort", () => out.destroy(), { once: true });
  void readLines(path, live?.size).then((lines) => {
    const wanted = selectLines(
      lines.map((line) => parse(line, options.timestamps)),
      options,
    );
    for (const line of wanted) push(line.shown);
    for (const line of pending) push(parse(line, options.timestamps).shown);
    isReplayed = true;
    finish();
  });
  return out;
}

const selectLines = (lines: readonly Line[], options: LogOptions): readonly Line[] => {
  const { sinceTime, tailLines } = options;
  const recent = sinceTime === undefined ? lines : lines.filter(({ timeMs }) => timeMs >= sinceTime);
  if (tailLines === undefined) return recent;
  return tailLines === 0 ? [] : recent.slice(-tailLines);
};

/** Lines of the file before, and of the current file up to `bytes`. */
async function readLines(path: string, bytes: number | undefined): Promise<string[]> {
  const lines: string[] = [];
  for (const part of [`${path}.1`, path]) {
    if (!existsSync(part) || (part === path && bytes === 0)) continue;
    const range = part === path && bytes !== undefined ? { end: bytes - 1 } : {};
    for await (const line of createInterface({ input: createReadStream(part, range) })) lines.push(line);
  }
  return lines;
}
