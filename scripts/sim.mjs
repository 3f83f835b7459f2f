// `npm run sim [-- --seeds N --start N | --seed N --trace]`: bundles test/sim and runs it.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { root } from "./prepare.mjs";

const folder = join(root, ".cache", "sim");

async function bundle() {
  // Not there before the machine is prepared.
  const { build } = await import("esbuild");
  await build({
    absWorkingDir: root,
    entryPoints: ["test/sim/main.ts"],
    outdir: folder,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    mainFields: ["module", "main"],
    sourcemap: "linked",
    external: ["koffi", "@lydell/node-pty", "esbuild"],
    banner: {
      js: 'import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);',
    },
    logLevel: "warning",
  });
}

await bundle();
// Worlds are made and forgotten by the hundred.
const args = ["--enable-source-maps", "--max-semi-space-size=64", join(folder, "main.js"), ...process.argv.slice(2)];
process.exit(spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" }).status ?? 1);
