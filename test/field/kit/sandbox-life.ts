/**
 * Brings the field tests' sandbox up and down through the real CLI. The folder holds everything: state, kubeconfig, and a
 * mark that says with which flags it is up, which outlives the process of one test file.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { run } from "./program.ts";

export const repository = join(import.meta.dirname, "..", "..", "..");
const upMsMax = 180_000;
const downMsMax = 60_000;

/** The sandbox's own folders, and programs of this checkout before those of the machine. */
export function environmentOf(folder: string): NodeJS.ProcessEnv {
  const path = [join(repository, "bin"), join(repository, ".cache", "bin"), process.env["PATH"] ?? ""].join(delimiter);
  return {
    ...process.env,
    PATH: path,
    TOMBOLO_HOME: join(folder, "home"),
    KUBECONFIG: join(folder, "kubeconfig"),
  };
}

const markOf = (folder: string): string => join(folder, "up.json");

export async function takeDown(folder: string): Promise<void> {
  if (!existsSync(markOf(folder))) return;
  rmSync(markOf(folder));
  const done = await run("tombolo", ["sandbox", "down"], { env: environmentOf(folder), msMax: downMsMax });
  if (done.code !== 0) throw new Error(`tombolo sandbox down failed:\n${done.stdout}${done.stderr}`);
}

/** Undefined when it is up, else why not. */
export async function bringUp(folder: string, flags: readonly string[]): Promise<string | undefined> {
  const mark = markOf(folder);
  const wanted = JSON.stringify(flags);
  if (existsSync(mark) && readFileSync(mark, "utf8") === wanted) return undefined;
  await takeDown(folder);
  // Written first: a sandbox that came up halfway is taken down too.
  writeFileSync(mark, wanted);
  const args = ["sandbox", "up", ...flags];
  const { code, stdout, stderr } = await run("tombolo", args, { env: environmentOf(folder), msMax: upMsMax });
  return code === 0 ? undefined : `tombolo ${args.join(" ")} failed:\n${stdout}${stderr}`;
}
