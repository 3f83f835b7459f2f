// Bundles every program: src/apps/<app>/main.ts → dist/<name>.js, one file each, so that a build never takes a part away
// from a program that runs. Native packages stay outside.
import { build } from "esbuild";
import { existsSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");

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
await build({
  absWorkingDir: root,
  entryPoints,
  outdir: "dist",
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  // ES modules first: dynamic imports of a CommonJS build would have no named exports.
  mainFields: ["module", "main"],
  sourcemap: "linked",
  external: ["koffi", "@lydell/node-pty"],
  // CommonJS packages inside an ES module bundle still ask for `require`.
  banner: {
    js: 'import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);',
  },
  logLevel: "warning",
});
