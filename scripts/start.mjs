// `npm start`: prepares the machine, then brings up two linked clusters with the sample apps.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { prepare, root } from "./prepare.mjs";

console.log("Preparing this machine");
await prepare();
const up = [join(root, "dist", "cli.js"), "sandbox", "up", "--samples", ...process.argv.slice(2)];
const isRoot = process.getuid?.() === 0;
const keep = "--preserve-env=HOME,PATH,KUBECONFIG,TOMBOLO_HOME,TOMBOLO_ENVOY";
const [command, args] = isRoot ? [process.execPath, up] : ["sudo", [keep, process.execPath, ...up]];
process.exit(spawnSync(command, args, { stdio: "inherit" }).status ?? 1);
