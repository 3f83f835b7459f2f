// `npm test [-- args]`: prepares the machine, checks types, lint and format, then runs the fast tests and, as root, the field tests.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { prepare, root } from "./prepare.mjs";

const bin = (name) => join(root, "node_modules", ".bin", name);
const phase = (title, command, args) => {
  console.log(`\n── ${title}`);
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  if (status !== 0) {
    console.error(`\n${title}: failed (exit code ${status}).`);
    process.exit(1);
  }
};

console.log("Preparing this machine");
await prepare();
const filter = process.argv.slice(2);
if (filter.length === 0) {
  phase("types", bin("tsc"), []);
  phase("types of the pure rooms", bin("tsc"), ["-p", "src/core"]);
  phase("lint", bin("oxlint"), ["--type-aware"]);
  phase("format", bin("oxfmt"), ["--check"]);
}
phase("fast tests", bin("vitest"), ["run", "--project", "fast", "--passWithNoTests", ...filter]);
if (process.getuid?.() === 0) {
  phase("field tests", bin("vitest"), ["run", "--project", "field", "--passWithNoTests", ...filter]);
} else {
  phase("field tests (through sudo)", "sudo", [
    "--preserve-env=PATH",
    bin("vitest"),
    "run",
    "--project",
    "field",
    "--passWithNoTests",
    ...filter,
  ]);
}
