/** `tombolo version`. */
import type { Command } from "../command.ts";
import { version as number } from "../version.ts";

export const version: Command = {
  path: ["version"],
  summary: "Print the version of this command",
  flags: { short: { type: "boolean", description: "print the number only" } },
  run(shell, flags) {
    shell.out(flags.isSet("short") ? `${number}\n` : `tombolo version: ${number}\n`);
    return Promise.resolve(0);
  },
};
