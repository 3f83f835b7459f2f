// Records test/conformance/golden/*.json from a real kube-apiserver (GOLDEN_URL, GOLDEN_TOKEN, GOLDEN_CA). Usage: node
// scripts/record-golden.mjs "kube-apiserver 1.34.4". Only for whoever changes the cases: the tests read what was recorded.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { build } from "esbuild";

const root = join(import.meta.dirname, "..");
const program = join(root, ".cache", "conformance", "record.mjs");
await build({
  absWorkingDir: root,
  entryPoints: ["test/conformance/golden/record.ts"],
  outfile: program,
  bundle: true,
  format: "esm",
  platform: "node",
  target: "node20",
  logLevel: "warning",
});
const folder = join(root, "test", "conformance", "golden", "answers");
const { status } = spawnSync(process.execPath, [program, folder, process.argv[2] ?? ""], { stdio: "inherit" });
process.exit(status ?? 1);
