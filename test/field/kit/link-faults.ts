/**
 * Cuts one direction of a link at the peer's gateway address, by port: the control link (15012) or the data path (15008). Drops
 * packets silently in the namespaces of the peer's nodes, before they reach its gateway. The test heals what it cut.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sh } from "./netns.ts";
import type { Sandbox } from "./sandbox.ts";

interface State {
  readonly id: string;
  readonly clusters: readonly { readonly name: string; readonly nodes: number }[];
}

const tableOf = (port: number): string => `cut-${port}`;

export class LinkFaults {
  readonly #home: string;

  constructor(sandbox: Sandbox) {
    this.#home = sandbox.home;
  }

  /** Packets to these LoadBalancer addresses of `cluster`, on that port. */
  cut(cluster: string, port: number, addresses: readonly string[]): void {
    const table = tableOf(port);
    const drop = `ip daddr { ${addresses.join(", ")} } tcp dport ${port} drop`;
    const rules = `table ip ${table} {}
delete table ip ${table}
table ip ${table} { chain c { type filter hook prerouting priority -350; ${drop}; }; }
`;
    for (const netns of this.#nodes(cluster)) sh("ip", ["netns", "exec", netns, "nft", "-f", "-"], rules);
  }

  heal(cluster: string, port: number): void {
    const table = tableOf(port);
    const rules = `table ip ${table} {}\ndelete table ip ${table}\n`;
    for (const netns of this.#nodes(cluster)) sh("ip", ["netns", "exec", netns, "nft", "-f", "-"], rules);
  }

  #nodes(cluster: string): readonly string[] {
    // Written by this sandbox.
    const { id, clusters } = JSON.parse(readFileSync(join(this.#home, "sandbox.json"), "utf8")) as State;
    const nodes = clusters.find(({ name }) => name === cluster)?.nodes ?? 0;
    return Array.from({ length: nodes }, (_, at) => `tmb-${id}-${cluster}-node${at + 1}`);
  }
}
