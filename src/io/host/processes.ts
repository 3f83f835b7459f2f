/**
 * Programs of the machine: run one to its end, or start one that lives on. Whoever starts a process owns it. A process can be
 * started inside namespaces of another (`inside`), by switching this thread into them for the moment of the fork.
 */
import { spawn } from "node:child_process";
import type { ChildProcess, StdioOptions } from "node:child_process";
import { withNamespaces } from "./netns.ts";
import type { NamespacePaths } from "./netns.ts";

export interface RunOptions {
  readonly input?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
  readonly inside?: NamespacePaths | undefined;
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface RunResult {
  /** 128 + signal number for a process that a signal ended, as a shell counts. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Output of one program that is kept; the rest is read and dropped. */
const outputBytesMax = 8 * 1024 * 1024;
const defaultTimeoutMs = 60_000;

const signalNumbers: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
};

export const signalNumber = (signal: string): number => signalNumbers[signal] ?? 0;

const exitCodeOf = (code: number | null, signal: string | null): number =>
  code ?? 128 + signalNumber(signal ?? "SIGKILL");

/** Runs a program to its end. Rejects only when it cannot be started, or `signal` aborts; a failure is a `code`. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { input, signal } = options;
  return new Promise((resolve, reject) => {
    const child = start(command, args, {
      ...options,
      stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    });
    const kill = () => child.kill("SIGKILL");
    const timer = setTimeout(kill, options.timeoutMs ?? defaultTimeoutMs);
    signal?.addEventListener("abort", kill, { once: true });
    const read = collect(child);
    child.on("error", (error) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", kill);
      reject(error);
    });
    child.on("close", (code, killedBy) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", kill);
      if (signal?.aborted === true) reject(signal.reason as Error);
      else resolve({ code: exitCodeOf(code, killedBy), ...read() });
    });
    // A program that ends without reading its input is not our failure.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });
}

function collect(child: ChildProcess): () => { stdout: string; stderr: string } {
  const chunks: { stdout: Buffer[]; stderr: Buffer[] } = { stdout: [], stderr: [] };
  for (const name of ["stdout", "stderr"] as const) {
    let bytes = 0;
    child[name]?.on("data", (chunk: Buffer) => {
      if (bytes < outputBytesMax) chunks[name].push(chunk);
      bytes += chunk.length;
    });
  }
  return () => ({
    stdout: Buffer.concat(chunks.stdout).toString("utf8"),
    stderr: Buffer.concat(chunks.stderr).toString("utf8"),
  });
}

/** As `run`, but a failure rejects with a sentence that carries what the program said. */
export async function runOrThrow(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await run(command, args, options);
  if (result.code === 0) return result.stdout;
  const said = (result.stderr.trim() || result.stdout.trim()).slice(0, 2000);
  throw new Error(`${command} ${args.join(" ")} ended with code ${result.code}: ${said}`);
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
  readonly inside?: NamespacePaths | undefined;
  readonly stdio: StdioOptions;
  readonly detached?: boolean | undefined;
}

/** Starts a program that lives on. `env` replaces the environment. */
export function start(command: string, args: readonly string[], options: StartOptions): ChildProcess {
  const { env, cwd, stdio, detached = false } = options;
  const spawnNow = () =>
    spawn(command, [...args], {
      stdio,
      detached,
      ...(env === undefined ? {} : { env: { ...env } }),
      ...(cwd === undefined ? {} : { cwd }),
    });
  return options.inside === undefined ? spawnNow() : withNamespaces(options.inside, spawnNow);
}

/** Resolves with code and signal when the process has ended and its streams are closed. */
export const ended = (child: ChildProcess): Promise<{ code: number; signal: string | undefined }> =>
  new Promise((resolve) => {
    child.once("error", () => resolve({ code: 128, signal: undefined }));
    child.once("close", (code, signal) => resolve({ code: exitCodeOf(code, signal), signal: signal ?? undefined }));
  });

/** Sends a signal; a process that is gone already is fine. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

/** The environment this program was started with, without absent entries. */
export const environment = (): Record<string, string> =>
  Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );

export const ownPid = (): number => process.pid;
export const isRoot = (): boolean => process.getuid?.() === 0;
/** The Node.js that runs this program. */
export const nodePath = (): string => process.execPath;
