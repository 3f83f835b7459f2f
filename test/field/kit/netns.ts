/** Network namespaces of one field test: nodes on one wire, pods behind nodes. Removed when the test ends. */
import { execFile, execFileSync } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export const sh = (command: string, args: readonly string[], input?: string): string =>
  execFileSync(command, args, { encoding: "utf8", ...(input === undefined ? {} : { input }) });

export const kitFile = (name: string): string => join(import.meta.dirname, name);

const ip = (...args: string[]): string => sh("ip", args);

export class Wire {
  readonly prefix: string;
  readonly #namespaces: string[] = [];

  /** Every namespace gets the prefix; leftovers of an earlier run are removed. */
  constructor(prefix: string) {
    this.prefix = prefix;
    for (const line of ip("netns", "list").split("\n")) {
      const name = line.split(" ")[0] ?? "";
      if (name.startsWith(prefix)) ip("netns", "del", name);
    }
    this.#add("wire");
    ip("-n", this.ns("wire"), "link", "add", "br0", "type", "bridge");
    ip("-n", this.ns("wire"), "link", "set", "br0", "up");
  }

  ns(name: string): string {
    return `${this.prefix}${name}`;
  }

  netnsPath(name: string): string {
    return `/run/netns/${this.ns(name)}`;
  }

  /** A machine on the wire; with a pod network when `podGateway` is given. */
  node(name: string, address: string, podGateway?: string): void {
    this.#add(name);
    const ns = this.ns(name);
    ip("link", "add", "wire", "netns", ns, "type", "veth", "peer", "name", `w${name}`, "netns", this.ns("wire"));
    ip("-n", this.ns("wire"), "link", "set", `w${name}`, "master", "br0", "up");
    ip("-n", ns, "addr", "add", `${address}/24`, "dev", "wire");
    ip("-n", ns, "link", "set", "wire", "up");
    sh("ip", ["netns", "exec", ns, "sysctl", "-qw", "net.ipv4.ip_forward=1"]);
    if (podGateway === undefined) return;
    ip("-n", ns, "link", "add", "br0", "type", "bridge");
    ip("-n", ns, "addr", "add", `${podGateway}/24`, "dev", "br0");
    ip("-n", ns, "link", "set", "br0", "up");
  }

  route(node: string, network: string, via: string): void {
    ip("-n", this.ns(node), "route", "add", network, "via", via);
  }

  pod(name: string, node: string, address: string, gateway: string): void {
    this.#add(name);
    const ns = this.ns(name);
    ip("link", "add", "eth0", "netns", ns, "type", "veth", "peer", "name", `v${name}`, "netns", this.ns(node));
    ip("-n", ns, "addr", "add", `${address}/24`, "dev", "eth0");
    ip("-n", ns, "link", "set", "eth0", "up");
    ip("-n", this.ns(node), "link", "set", `v${name}`, "master", "br0", "up");
    ip("-n", ns, "route", "add", "default", "via", gateway);
  }

  nft(name: string, rules: string): void {
    sh("ip", ["netns", "exec", this.ns(name), "nft", "-f", "-"], rules);
  }

  async exec(name: string, command: string, args: readonly string[]): Promise<string> {
    const { stdout } = await run("ip", ["netns", "exec", this.ns(name), command, ...args], { encoding: "utf8" });
    return stdout;
  }

  remove(): void {
    for (const name of this.#namespaces.splice(0)) ip("netns", "del", name);
  }

  #add(name: string): void {
    ip("netns", "add", this.ns(name));
    this.#namespaces.push(this.ns(name));
    ip("-n", this.ns(name), "link", "set", "lo", "up");
  }
}
