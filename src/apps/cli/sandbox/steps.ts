/** Progress of a long command: each step with its time and the time in all; a failure names its step. */
import { CommandError, type Shell } from "../command.ts";
import { sentencesOf } from "../explain.ts";

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

export class Steps {
  readonly #shell: Shell;
  readonly #beganAt: number;
  constructor(shell: Shell) {
    this.#shell = shell;
    this.#beganAt = shell.host.clock.now();
  }

  async run<T>(name: string, work: () => Promise<T>): Promise<T> {
    const startedAt = this.#shell.host.clock.now();
    try {
      const result = await work();
      const now = this.#shell.host.clock.now();
      this.#shell.note(`  ✔ ${name}  ${seconds(now - startedAt)}, ${seconds(now - this.#beganAt)} in all`);
      return result;
    } catch (error) {
      this.#shell.note(`  ✘ ${name}`);
      const [sentence, fix] = sentencesOf(error);
      throw new CommandError(`Step "${name}" failed: ${sentence}`, fix);
    }
  }

  get elapsed(): string {
    return seconds(this.#shell.host.clock.now() - this.#beganAt);
  }
}
