// `npm run bench`: prepares the machine, bundles test/bench and runs it; the figures go to docs/benchmarks.md. Needs root.
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { bundleOptions } from "./bundle-options.mjs";
import { prepare, root, systemPackages } from "./prepare.mjs";
import { step } from "./steps.mjs";

const folder = join(root, ".cache", "bench");

/** In a bundle, a source file still knows where it lies: it finds the programs beside it. */
const ownPlaces = {
  name: "own-places",
  setup: ({ onLoad }) =>
    onLoad({ filter: /\/(test|scripts)\/.*\.m?[jt]s$/ }, ({ path }) => ({
      contents: readFileSync(path, "utf8")
        .replaceAll("import.meta.dirname", JSON.stringify(join(path, "..")))
        .replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href)),
      loader: path.endsWith(".ts") ? "ts" : "js",
    })),
};

async function bundle() {
  // Not there before the machine is prepared.
  const { build } = await import("esbuild");
  rmSync(folder, { recursive: true, force: true });
  await build({
    ...bundleOptions,
    entryPoints: ["main", "scale", "control", "peers", "api-server"].map((name) => `test/bench/${name}.ts`),
    outdir: folder,
    external: [...bundleOptions.external, "esbuild"],
    plugins: [ownPlaces],
  });
}

console.log("Preparing this machine");
await prepare();
await step("wrk and iperf3", () => systemPackages({ wrk: "wrk", iperf3: "iperf3" }));
await step("the bench", bundle);
const args = ["--enable-source-maps", join(folder, "main.js"), root, ...process.argv.slice(2)];
const isRoot = process.getuid?.() === 0;
const [command, all] = isRoot ? [process.execPath, args] : ["sudo", ["--preserve-env=PATH", process.execPath, ...args]];
process.exit(spawnSync(command, all, { cwd: root, stdio: "inherit" }).status ?? 1);
