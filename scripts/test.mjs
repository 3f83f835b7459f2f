// `npm test [-- args]`: prepares the machine, checks types, lint and format, then runs the fast tests, the simulation and, as root, the field tests.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { prepare, root, systemPackages } from "./prepare.mjs";
import { step } from "./steps.mjs";

/** What only the tests use: sniffing the wire, certificates as an operator makes them, open ports of a namespace. */
const testTools = { tcpdump: "tcpdump", openssl: "openssl", ss: "iproute2", ps: "procps" };

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
await step("system packages of the tests", () => systemPackages(testTools));
const filter = process.argv.slice(2);
if (filter.length === 0) {
  phase("types", bin("tsc"), []);
  phase("types of the pure rooms", bin("tsc"), ["-p", "src/core"]);
  phase("lint", bin("oxlint"), ["--type-aware"]);
  phase("format", bin("oxfmt"), ["--check"]);
}
// With a filter one of the projects may have nothing that matches; without one, no test at all is a failure.
const run = (project) => [
  "run",
  "--project",
  project,
  ...(filter.length === 0 ? [] : ["--passWithNoTests"]),
  ...filter,
];
phase("fast tests", bin("vitest"), run("fast"));
if (filter.length === 0) phase("simulation", process.execPath, [join(root, "scripts", "sim.mjs"), "--seeds", "500"]);
const isRoot = process.getuid?.() === 0;
if (isRoot) phase("field tests", bin("vitest"), run("field"));
else phase("field tests (through sudo)", "sudo", ["--preserve-env=PATH", bin("vitest"), ...run("field")]);
