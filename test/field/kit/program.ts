/** Runs programs of the machine for field tests: always with a time limit, never with a shell in between. */
import { spawn } from "node:child_process";

export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly input?: string;
  readonly msMax?: number;
}

const msMaxUsual = 60_000;
const outputBytesMax = 64 * 1024 * 1024;

/** Never rejects for an exit code; a program that outlives its time is killed and its output says so. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Output> {
  const msMax = options.msMax ?? msMaxUsual;
  return new Promise((resolve, reject) => {
    // A group of its own, so that what a script started ends with it.
    const child = spawn(command, args, { env: options.env, cwd: options.cwd, detached: true });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let bytes = 0;
    const collect = (into: Buffer[]) => (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= outputBytesMax) into.push(chunk);
    };
    child.stdout.on("data", collect(stdout));
    child.stderr.on("data", collect(stderr));
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.input ?? "");
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    }, msMax);
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      const late = isLate ? `\n(killed: it took longer than ${msMax} ms)` : "";
      resolve({
        code: isLate ? 124 : (code ?? 128),
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString() + late,
      });
    });
  });
}

/** Looks again and again until `look` gives something; the failure says what was waited for. */
export async function poll<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  { msMax = 20_000, everyMs = 200 }: { readonly msMax?: number; readonly everyMs?: number } = {},
): Promise<T> {
  const end = Date.now() + msMax;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`Waited ${msMax} ms in vain for ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
