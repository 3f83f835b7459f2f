// Bundles every program: src/apps/<app>/main.ts → dist/<name>.js, one file each, so that a build never takes a part away
// from a program that runs. Native packages stay outside.
import { build } from "esbuild";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { bundleOptions } from "./bundle-options.mjs";
import { root } from "./cache.mjs";

const programs = {
  cli: "src/apps/cli/main.ts",
  tombolod: "src/apps/control/main.ts",
  agent: "src/apps/agent/main.ts",
  "sandbox-cluster": "src/apps/sandbox/main.ts",
  httpbin: "src/apps/samples/httpbin/main.ts",
  ledger: "src/apps/samples/ledger/main.ts",
  tcp: "src/apps/samples/tcp/main.ts",
};

const entryPoints = Object.fromEntries(Object.entries(programs).filter(([, source]) => existsSync(join(root, source))));
rmSync(join(root, "dist"), { recursive: true, force: true });
await build({ ...bundleOptions, entryPoints, outdir: "dist" });
