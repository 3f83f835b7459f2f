// Steps with elapsed time, shared by start and test: says what it does, how long it took, and what to do when it fails.
import { spawn, spawnSync } from "node:child_process";

const began = Date.now();
const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

/** A failure with a way out: `fix` is a sentence that says what to do. */
export class StepError extends Error {
  constructor(message, fix) {
    super(message);
    this.fix = fix;
  }
}

/** Runs one named step; on failure prints the step, its cause and what to do, and ends the process. */
export async function step(name, work) {
  const started = Date.now();
  try {
    const note = await work();
    console.log(
      `  ✔ ${name}${note ? ` (${note})` : ""}  ${seconds(Date.now() - started)}, ${seconds(Date.now() - began)} in all`,
    );
  } catch (error) {
    console.error(`  ✘ ${name}\n    ${error.message.trim().split("\n").join("\n    ")}`);
    if (error.fix) console.error(`    What to do: ${error.fix}`);
    process.exit(1);
  }
}

/** Runs a command quietly; its output is shown only when it fails. */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    const output = [];
    child.stdout.on("data", (chunk) => output.push(chunk));
    child.stderr.on("data", (chunk) => output.push(chunk));
    child.on("error", (error) => reject(new StepError(`${command}: ${error.message}`)));
    child.on("close", (code) => {
      const text = Buffer.concat(output).toString();
      if (code === 0) resolve(text);
      else reject(new StepError(`${[command, ...args].join(" ")} ended with exit code ${code}:\n${text.slice(-2000)}`));
    });
  });
}

export const has = (command) => spawnSync("sh", ["-c", `command -v ${command}`], { stdio: "ignore" }).status === 0;

export const isRoot = process.getuid?.() === 0;
/** The command and its arguments, through sudo where that takes root. */
export const asRoot = (command, args) => (isRoot ? [command, args] : ["sudo", [command, ...args]]);
