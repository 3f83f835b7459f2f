// The folder in which a checkout keeps what it brought to this machine, and the tools in it.
import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..");
export const cache = join(root, ".cache");

/** Puts a program on the PATH of everything that this checkout runs. */
export function linkTool(name, target) {
  mkdirSync(join(cache, "bin"), { recursive: true });
  rmSync(join(cache, "bin", name), { force: true });
  symlinkSync(target, join(cache, "bin", name));
}
