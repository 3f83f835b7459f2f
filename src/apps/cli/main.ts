/** The `tombolo` command: finds the command that the words name, runs it, turns its failure into a sentence. */
import { setMaxListeners } from "node:events";
import { systemHost } from "../../io/host/host.ts";
import {
  type Command,
  CommandError,
  findCommand,
  helpOf,
  knownPart,
  overview,
  parseFlags,
  type Shell,
  UsageError,
} from "./command.ts";
import { commands } from "./commands.ts";
import { connector } from "./connect.ts";
import { exitCode, explain } from "./explain.ts";

const host = systemHost(process.env["TOMBOLO_LOG"] === "debug" ? "debug" : "warn");
const stop = new AbortController();
/** Many requests to many clusters wait for the same end; Node would take so many listeners for a leak. */
const listenersMax = 1_000;
setMaxListeners(listenersMax, stop.signal);
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => stop.abort(new CommandError(`Stopped by ${signal}.`)));
}
// `tombolo … | head` ends us quietly.
process.stdout.on("error", () => process.exit(0));

const shell: Shell = {
  host,
  signal: stop.signal,
  out: (text) => process.stdout.write(text),
  note: (text) => process.stderr.write(`${text}\n`),
  connect: connector(host, stop.signal),
};

/** What follows `--` belongs to another program. */
const asksForHelp = (args: readonly string[]): boolean =>
  args
    .slice(0, args.includes("--") ? args.indexOf("--") : args.length)
    .some((word) => word === "--help" || word === "-h");

const isHelp = (word: string): boolean => word === "--help" || word === "-h" || word === "help";

async function run(typed: readonly string[]): Promise<number> {
  const words = typed[0] === "--version" ? ["version", ...typed.slice(1)] : typed;
  const command = findCommand(commands, words);
  if (command !== undefined) {
    const args = words.slice(command.path.length);
    if (asksForHelp(args)) {
      shell.out(helpOf(command));
      return 0;
    }
    return command.run(shell, parseFlags(command, args));
  }
  const prefix = words.filter((word) => !isHelp(word) && !word.startsWith("-"));
  const isKnown = commands.some((one: Command) => prefix.every((word, position) => one.path[position] === word));
  if (isKnown && (words.length === 0 || words.some(isHelp))) {
    shell.out(overview(commands, prefix));
    return 0;
  }
  const isShort = isKnown && prefix.length > 0;
  const what = isShort ? "needs one more word" : "is no command";
  throw new UsageError(
    `'${["tombolo", ...words].join(" ")}' ${what}.\n\n${overview(commands, knownPart(commands, words))}`,
  );
}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  const { text, code } = explain(error);
  process.stderr.write(`Error: ${text.trim()}\n`);
  if (process.env["TOMBOLO_LOG"] === "debug" && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  process.exitCode = stop.signal.aborted ? exitCode.interrupted : code;
}
// Idle connections of the API client must not keep the command alive.
process.exit();
