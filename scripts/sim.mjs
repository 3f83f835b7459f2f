// `npm run sim [-- --seeds N --start N | --seed N --trace]`: bundles test/sim and runs it.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { bundleOptions } from "./bundle-options.mjs";
import { root } from "./cache.mjs";

const folder = join(root, ".cache", "sim");

async function bundle() {
  // Not there before the machine is prepared.
  const { build } = await import("esbuild");
  await build({
    ...bundleOptions,
    entryPoints: ["test/sim/main.ts"],
    outdir: folder,
    external: [...bundleOptions.external, "esbuild"],
  });
}

await bundle();
// Worlds are made and forgotten by the hundred.
const args = ["--enable-source-maps", "--max-semi-space-size=64", join(folder, "main.js"), ...process.argv.slice(2)];
process.exit(spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" }).status ?? 1);
