/** The backend of the data-path field tests, running in a pod's namespace. */
import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { kitFile, type Wire } from "./netns.ts";

/** A backend of app.mjs in a pod; the test closes and opens its ports. */
export class App {
  readonly child: ChildProcess;
  readonly ready: Promise<unknown>;
  readonly #lines: AsyncIterator<string>;

  constructor(wire: Wire, name: string) {
    const child = spawn("ip", ["netns", "exec", wire.ns(name), process.execPath, kitFile("app.mjs"), name], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.child = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    this.ready = this.#lines.next();
  }

  async command(command: Readonly<Record<string, number | boolean>>): Promise<AppCounts> {
    this.child.stdin?.write(`${JSON.stringify(command)}\n`);
    const { value } = await this.#lines.next();
    // app.mjs answers each command with its counts.
    return JSON.parse(String(value)) as AppCounts;
  }
}

export interface AppCounts {
  /** Port → connections accepted since the start. */
  readonly counts: Readonly<Record<string, number>>;
  readonly lastUpload: Readonly<Record<string, number>>;
}
