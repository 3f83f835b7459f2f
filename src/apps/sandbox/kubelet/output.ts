/**
 * What a container writes, to its log and to whoever is attached. The first output of a container that waits for input is
 * kept and replayed to the first that attaches, so that a short command's answer is never lost.
 */
import { PassThrough } from "node:stream";
import type { Readable } from "node:stream";

const earlyBytesMax = 1024 * 1024;
/** An attached reader that lets this much pile up is cut off. */
const attachedBytesMax = 16 * 1024 * 1024;

type StreamName = "stdout" | "stderr";

export class Output {
  private early: { name: StreamName; chunk: Buffer }[] | undefined;
  private earlyBytes = 0;
  private readonly attached = new Set<{ stdout: PassThrough; stderr: PassThrough }>();
  private hasEnded = false;

  constructor(keepsEarly: boolean) {
    this.early = keepsEarly ? [] : undefined;
  }

  write(name: StreamName, chunk: Buffer): void {
    if (this.early !== undefined && this.earlyBytes < earlyBytesMax) {
      this.early.push({ name, chunk });
      this.earlyBytes += chunk.length;
    }
    for (const reader of this.attached) {
      if (reader[name].readableLength > attachedBytesMax) this.attached.delete(reader);
      else reader[name].write(chunk);
    }
  }

  attach(): { readonly stdout: Readable; readonly stderr: Readable } {
    const reader = { stdout: new PassThrough(), stderr: new PassThrough() };
    for (const { name, chunk } of this.early ?? []) reader[name].write(chunk);
    this.early = undefined;
    if (this.hasEnded) {
      reader.stdout.end();
      reader.stderr.end();
      return reader;
    }
    this.attached.add(reader);
    reader.stdout.once("close", () => this.attached.delete(reader));
    return reader;
  }

  end(): void {
    this.hasEnded = true;
    for (const { stdout, stderr } of this.attached) {
      stdout.end();
      stderr.end();
    }
    this.attached.clear();
  }
}
