/** What the sandbox needs of this machine, and what it picks on it: rights, tools, an id, addresses and ports. */
import { createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { fileURLToPath } from "node:url";
import { fileExists, homeDirectory, joinPath, listNow, parentPath } from "../../io/host/files.ts";
import type { Host } from "../../io/host/host.ts";
import { isRoot, nodePath, run } from "../../io/host/processes.ts";
import { bridgeName, hostAddress, underlays } from "./network/addresses.ts";

/** A sentence for the user, with the way out. */
export class MachineProblem extends Error {}

export const homeOf = (env: Readonly<Record<string, string | undefined>>): string =>
  env["TOMBOLO_HOME"] ?? joinPath(homeDirectory(), ".tombolo");

/** The directory that holds package.json: above `dist` as well as above `src`. */
export function packageDirectory(): string {
  let directory = parentPath(fileURLToPath(import.meta.url));
  while (!fileExists(joinPath(directory, "package.json")) && directory !== "/") directory = parentPath(directory);
  return directory;
}

export function envoyPath(env: Readonly<Record<string, string | undefined>>): string {
  const own = joinPath(packageDirectory(), ".cache", "bin", "envoy");
  return env["TOMBOLO_ENVOY"] ?? (fileExists(own) ? own : "envoy");
}

const tools: readonly (readonly [name: string, from: string])[] = [
  ["ip", "iproute2"],
  ["nft", "nftables"],
  ["unshare", "util-linux"],
  ["nsenter", "util-linux"],
  ["setpriv", "util-linux"],
  ["setsid", "util-linux"],
  ["mount", "mount"],
];

export async function checkMachine(what: string): Promise<void> {
  if (!isRoot()) {
    // By path: sudo looks for programs on a PATH of its own.
    const program = `${nodePath()} ${joinPath(packageDirectory(), "dist", "cli.js")}`;
    throw new MachineProblem(
      `The sandbox makes network namespaces, which needs root; run it again with the same flags as: sudo --preserve-env=HOME,PATH,KUBECONFIG,TOMBOLO_HOME,TOMBOLO_ENVOY ${program} sandbox ${what}`,
    );
  }
  const missing: string[] = [];
  for (const [name, from] of tools) {
    const found = await run("sh", ["-c", 'command -v "$1"', "sh", name]);
    if (found.code !== 0) missing.push(`${name} (package ${from})`);
  }
  if (missing.length > 0)
    throw new MachineProblem(`The sandbox needs ${missing.join(", ")}; install that and try again.`);
}

/** Four hex digits that no name on the machine has. */
export function freeSandboxId(host: Host): string {
  const taken = [...listNow("/run/netns"), ...listNow("/sys/class/net")];
  for (;;) {
    const id = host.random.below(0x10000).toString(16).padStart(4, "0");
    if (!taken.some((name) => name === bridgeName(id) || name.startsWith(`${bridgeName(id)}-`))) return id;
  }
}

/** The first range of addresses that this machine does not use. */
export function freeUnderlay(): string {
  const used = Object.values(networkInterfaces()).flatMap(
    (addresses) => addresses?.map(({ address }) => address) ?? [],
  );
  const free = underlays.find((underlay) => !used.some((address) => address.startsWith(`${underlay}.`)));
  if (free !== undefined) return free;
  throw new MachineProblem(
    `This machine uses all address ranges that a sandbox could have (${underlays.map((one) => hostAddress(one)).join(", ")}); take another sandbox down first.`,
  );
}

const portsTried = 200;

/** The first port from `first` on that nobody listens on. */
export async function freePort(first: number, taken: ReadonlySet<number>): Promise<number> {
  for (let port = first; port < first + portsTried; port += 1) {
    if (!taken.has(port) && (await isFree(port))) return port;
  }
  throw new MachineProblem(`No free port was found from ${first} to ${first + portsTried - 1}.`);
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "0.0.0.0", () => server.close(() => resolve(true)));
  });
