/** Runs once around all field tests: a folder for the sandbox that they share, taken down with it at the end. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { takeDown } from "./sandbox-life.ts";

/** Vitest calls it by this name; what it returns runs at the end. */
export function setup(): () => Promise<void> {
  // A short path: sockets in it have at most 107 characters.
  const folder = mkdtempSync(join(tmpdir(), "tfield-"));
  process.env["TOMBOLO_FIELD_FOLDER"] = folder;
  return async () => {
    await takeDown(folder);
    rmSync(folder, { recursive: true, force: true });
  };
}
