/**
 * The nft and tc input of faults. Pure. What a rule acts on is a set whose elements the kernel forgets by itself when the
 * fault is over: no process has to live on for that, and rules without elements do nothing.
 */
import type { LinkFault } from "./fault.ts";

export const tableInNode = (number: number): string => `fault_${number}`;
/** On the machine itself, so the name carries the sandbox's id. */
export const tableOnMachine = (sandboxId: string, number: number): string => `tmb_${sandboxId}_fault_${number}`;

const seconds = (ms: number): number => Math.max(1, Math.ceil(ms / 1_000));

/** Handle of the queueing discipline on a node's uplink, and the class of what no fault touches. */
const handle = "7a";
const untouched = 1;
const firstClass = 16;
const classOf = (number: number): string => `${handle}:${(firstClass + (number % 4_000)).toString(16)}`;

function verdict({ type, percent = 100 }: LinkFault, number: number): string {
  // nft refuses a comparison that is always true.
  if (type === "cut" || (type === "drop" && percent >= 100)) return "drop";
  if (type === "drop") return `numgen random mod 100 < ${percent} drop`;
  return `meta priority set ${classOf(number)}`;
}

/** For the network namespace of a node: packets that leave it for `toCidr`. */
export const linkRules = (number: number, fault: LinkFault, toCidr: string, forMs: number): string => `
table ip ${tableInNode(number)} {
  set on { type ipv4_addr; flags interval, timeout; elements = { ${toCidr} timeout ${seconds(forMs)}s } }
  chain leave {
    type filter hook postrouting priority 300; policy accept;
    ip daddr @on ${verdict(fault, number)}
  }
}
`;

/** For the machine: nothing reaches these listeners, and nothing that they say gets out. */
export const apiRules = (table: string, addresses: readonly string[], port: number, forMs: number): string => `
table ip ${table} {
  set on {
    type ipv4_addr . inet_service; flags timeout
    elements = { ${addresses.map((one) => `${one} . ${port} timeout ${seconds(forMs)}s`).join(", ")} }
  }
  chain enter { type filter hook input priority -300; policy accept; ip daddr . tcp dport @on drop; }
  chain leave { type filter hook output priority -300; policy accept; ip saddr . tcp sport @on drop; }
}
`;

export const isShaped = ({ type }: LinkFault): boolean => type === "delay" || type === "limit";

/** Fast enough to be no limit. */
const openRate = "40gbit";

/** Arguments of the calls of tc that make the class which the rule above sends packets to; the first may be there already. */
export function shapingCalls(number: number, fault: LinkFault): readonly (readonly string[])[] {
  const own = classOf(number);
  const device = ["dev", "eth0"];
  const rate = fault.type === "limit" ? (fault.rate ?? openRate) : openRate;
  return [
    ["qdisc", "add", ...device, "root", "handle", `${handle}:`, "htb", "default", String(untouched)],
    [
      "class",
      "replace",
      ...device,
      "parent",
      `${handle}:`,
      "classid",
      `${handle}:${untouched}`,
      "htb",
      "rate",
      openRate,
    ],
    ["class", "replace", ...device, "parent", `${handle}:`, "classid", own, "htb", "rate", rate],
    ...(fault.type === "delay"
      ? [["qdisc", "replace", ...device, "parent", own, "netem", "delay", `${fault.ms ?? 0}ms`]]
      : []),
  ];
}

export const unshapingCalls = (number: number, isLast: boolean): readonly (readonly string[])[] =>
  isLast ? [["qdisc", "del", "dev", "eth0", "root"]] : [["class", "del", "dev", "eth0", "classid", classOf(number)]];
