/** Types a transcript into one shell session: exported variables, functions and the folder go on from block to block. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { poll, run, type Output } from "../field/kit/program.ts";
import { repository } from "../field/kit/sandbox-life.ts";
import { type Bindings, match } from "./expect.ts";
import type { Step, Transcript } from "./parse.ts";

const stepMsMax = 150_000;

export class Session {
  readonly #env: NodeJS.ProcessEnv;
  readonly #folder = mkdtempSync(join(tmpdir(), "transcript-"));
  readonly #given: ReadonlyMap<string, string>;
  #bindings: Bindings = new Map();

  constructor(env: NodeJS.ProcessEnv, { given }: Transcript) {
    this.#env = { ...env, TMPDIR: this.#folder, TOMBOLO_REPOSITORY: repository };
    this.#given = given;
    writeFileSync(this.#kept, "");
  }

  get #kept(): string {
    return join(this.#folder, "session");
  }

  /** Throws a sentence with what was typed, what was expected and what was seen. */
  async step(step: Step): Promise<void> {
    let seen: Output = { code: 0, stdout: "", stderr: "" };
    let problem: string | undefined;
    const look = async () => {
      seen = await this.#type(step.script);
      problem = this.#problemOf(step, seen);
      return problem === undefined;
    };
    const isGood = await (step.msMax === 0
      ? look()
      : poll("", look, { msMax: step.msMax, everyMs: 300 }).catch(() => false));
    if (isGood) return;
    const waited = step.msMax === 0 ? "" : ` (for ${step.msMax / 1000} s)`;
    const expected = step.expected === undefined ? [] : ["Expected:", step.expected];
    throw new Error(
      [`line ${step.line}: ${problem}${waited}`, step.script, ...expected, "Seen:", seen.stdout, seen.stderr].join(
        "\n",
      ),
    );
  }

  end(): void {
    rmSync(this.#folder, { recursive: true });
  }

  #problemOf({ isFailing, expected }: Step, { code, stdout, stderr }: Output): string | undefined {
    if (!isFailing && code !== 0) return `the command ended with exit code ${code}`;
    if (isFailing && code === 0) return "the command was to fail, but did not";
    if (expected === undefined) return undefined;
    const bindings = match(expected, isFailing ? stderr + stdout : stdout, this.#bindings);
    if (bindings === undefined) return "the output is another";
    this.#bindings = bindings;
    return undefined;
  }

  #type(script: string): Promise<Output> {
    let typed = script;
    for (const [from, to] of this.#given) typed = typed.replaceAll(from, to);
    // Stops at the first failure; what was exported is kept for the next block.
    const whole = [
      `. ${this.#kept}`,
      `trap 'code=$?; { declare -xp; declare -f; printf "cd %q\\n" "$PWD"; } > ${this.#kept}; exit $code' EXIT`,
      "set -e -o pipefail",
      typed,
    ].join("\n");
    // --norc: with a socket as standard input, bash would believe it was called from afar and read the rc file.
    return run("bash", ["--norc", "-c", whole], { env: this.#env, cwd: repository, msMax: stepMsMax });
  }
}
