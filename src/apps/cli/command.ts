/** What a command of the CLI is, and how its words become flags. No command reads `process` itself. */
import { parseArgs } from "node:util";
import type { Host } from "../../io/host/host.ts";
import type { KubeClient } from "../../io/kube/client.ts";

export interface Flag {
  readonly type: "string" | "boolean";
  readonly short?: string;
  readonly multiple?: boolean;
  /** What stands for the value in help: `--context NAME`. */
  readonly value?: string;
  readonly description: string;
}

export interface DebugQuestion {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
  readonly path: string;
}

/** One cluster of the kubeconfig, ready to be asked. */
export interface Connection {
  readonly context: string;
  readonly client: KubeClient;
  /** A debug page that a program of the mesh serves on its pod's loopback, as parsed JSON. */
  debug(question: DebugQuestion): Promise<unknown>;
}

/** The world as a command sees it. */
export interface Shell {
  readonly host: Host;
  readonly signal: AbortSignal;
  /** For results: what a pipe would read. */
  out(text: string): void;
  /** For progress, warnings and advice. */
  note(text: string): void;
  /** Undefined: the kubeconfig's current context. */
  connect(context: string | undefined): Promise<Connection>;
}

export class Flags {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly positionals: readonly string[];
  constructor(values: Readonly<Record<string, unknown>>, positionals: readonly string[]) {
    this.#values = values;
    this.positionals = positionals;
  }
  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === "string" ? value : undefined;
  }
  isSet(name: string): boolean {
    return this.#values[name] === true;
  }
  /** Values of a repeatable flag; commas separate too. */
  list(name: string): readonly string[] {
    const value = this.#values[name];
    const all = Array.isArray(value) ? value : typeof value === "string" ? [value] : [];
    return all.flatMap((one) => String(one).split(",")).filter((one) => one !== "");
  }
  /** Values of a repeatable flag, each as typed. */
  each(name: string): readonly string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? value.map(String) : [];
  }
}

export interface Command {
  /** Words that call it: `["multicluster", "expose"]`. */
  readonly path: readonly string[];
  readonly summary: string;
  /** Paragraphs for `--help`. */
  readonly details?: string;
  readonly positional?: string;
  readonly flags: Readonly<Record<string, Flag>>;
  readonly examples?: readonly string[];
  run(shell: Shell, flags: Flags): Promise<number>;
}

/** A mistake of the caller: its sentence is all that is printed. Exit code 2. */
export class UsageError extends Error {}

/** A failure with a way out. Exit code 1. */
export class CommandError extends Error {
  readonly fix: string | undefined;
  constructor(message: string, fix?: string) {
    super(message);
    this.fix = fix;
  }
}

export const contextFlag: Flag = {
  type: "string",
  value: "NAME",
  description: "kubeconfig context of the cluster (default: the current one)",
};

const helpFlag: Flag = { type: "boolean", short: "h", description: "print this help" };

/** Longest path that the words begin with. */
export function findCommand(commands: readonly Command[], words: readonly string[]): Command | undefined {
  return commands
    .filter((command) => command.path.every((word, position) => words[position] === word))
    .sort((a, b) => b.path.length - a.path.length)[0];
}

function flagsOf(command: Command) {
  return Object.fromEntries(
    Object.entries({ ...command.flags, help: helpFlag }).map(([name, { type, short, multiple }]) => [
      name,
      { type, ...(short === undefined ? {} : { short }), ...(multiple === undefined ? {} : { multiple }) },
    ]),
  );
}

export function parseFlags(command: Command, args: readonly string[]): Flags {
  const name = `tombolo ${command.path.join(" ")}`;
  try {
    const options = flagsOf(command);
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
    if (command.positional === undefined && positionals.length > 0) {
      throw new UsageError(`${name} takes no argument, but got "${positionals.join(" ")}".`);
    }
    return new Flags(values, positionals);
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(`${error.message} See '${name} --help'.`);
    // Node's sentence names the flag; what follows its first sentence speaks of Node's own API.
    const sentence = error instanceof Error ? (error.message.split(". ")[0] ?? "") : String(error);
    throw new UsageError(`${name}: ${sentence.replace(/\.$/, "")}. See '${name} --help'.`);
  }
}

const flagLine = (name: string, flag: Flag): readonly [string, string] => {
  const short = flag.short === undefined ? "    " : `-${flag.short}, `;
  return [`  ${short}--${name}${flag.type === "string" ? ` ${flag.value ?? "VALUE"}` : ""}`, flag.description];
};

export function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length)) + 3;
  return rows.map(([left, right]) => `${left.padEnd(width)}${right}`).join("\n");
}

export function helpOf(command: Command): string {
  const usage = `tombolo ${command.path.join(" ")}${command.positional === undefined ? "" : ` ${command.positional}`} [flags]`;
  const flags = columns(
    Object.entries({ ...command.flags, help: helpFlag }).map(([name, flag]) => flagLine(name, flag)),
  );
  const examples =
    command.examples === undefined ? "" : `\n\nExamples:\n${command.examples.map((one) => `  ${one}`).join("\n")}`;
  const details = command.details === undefined ? "" : `\n\n${command.details.trim()}`;
  return `${command.summary}${details}\n\nUsage:\n  ${usage}\n\nFlags:\n${flags}${examples}\n`;
}

const exitCodes = `
Exit codes: 0 done, 1 failed or found a problem, 2 typed wrong, 130 interrupted.`;

/** The longest beginning of the words that leads to commands: what follows it is the mistake. */
export function knownPart(commands: readonly Command[], words: readonly string[]): readonly string[] {
  const leads = (length: number) =>
    commands.some(({ path }) => path.length >= length && words.slice(0, length).every((word, at) => path[at] === word));
  let length = 0;
  while (length < words.length && leads(length + 1)) length += 1;
  return words.slice(0, length);
}

/** Help for a prefix such as `multicluster`, or for the program as a whole. */
export function overview(commands: readonly Command[], prefix: readonly string[]): string {
  const below = commands.filter((command) => prefix.every((word, position) => command.path[position] === word));
  const title = prefix.length === 0 ? "Tombolo joins Kubernetes clusters into one ambient service mesh.\n\n" : "";
  const rows = below.map((command) => [`  tombolo ${command.path.join(" ")}`, command.summary] as const);
  return `${title}Commands:\n${columns(rows)}\n\nUse 'tombolo COMMAND --help' for the flags of a command.${prefix.length === 0 ? exitCodes : ""}\n`;
}
