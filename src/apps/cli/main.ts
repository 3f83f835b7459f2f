/** The `tombolo` command: finds the command that the words name, runs it, turns its failure into a sentence. */
import { errorText } from "../../core/api/error-text.ts";
import { systemHost } from "../../io/host/host.ts";
import { KubeError } from "../../io/kube/client.ts";
import {
  type Command,
  CommandError,
  findCommand,
  helpOf,
  overview,
  parseFlags,
  type Shell,
  UsageError,
} from "./command.ts";
import { commands } from "./commands.ts";
import { connector } from "./connect.ts";

const host = systemHost(process.env["TOMBOLO_LOG"] === "debug" ? "debug" : "warn");
const stop = new AbortController();
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
  connect: connector(host),
};

const isHelp = (word: string): boolean => word === "--help" || word === "-h" || word === "help";

async function run(words: readonly string[]): Promise<number> {
  const command = findCommand(commands, words);
  if (command !== undefined) {
    const args = words.slice(command.path.length);
    if (args.some((word) => word === "--help" || word === "-h") && !args.includes("--")) {
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
  const known = isKnown ? prefix : [];
  throw new UsageError(`There is no command 'tombolo ${words.join(" ")}'.\n\n${overview(commands, known)}`);
}

function explain(error: unknown): { text: string; code: number } {
  if (error instanceof UsageError) return { text: error.message, code: 2 };
  if (error instanceof CommandError) {
    return { text: error.fix === undefined ? error.message : `${error.message}\n${error.fix}`, code: 1 };
  }
  if (error instanceof KubeError) return { text: `The API server says: ${error.message}`, code: 1 };
  return { text: errorText(error), code: 1 };
}

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  const { text, code } = explain(error);
  process.stderr.write(`Error: ${text.trim()}\n`);
  if (process.env["TOMBOLO_LOG"] === "debug" && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  process.exitCode = code;
}
// Idle connections of the API client must not keep the command alive.
process.exit();
