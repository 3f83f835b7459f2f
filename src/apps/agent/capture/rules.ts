/**
 * The nftables rules of capture, as text: one table in each captured pod, one table on the node. Each text replaces its
 * table atomically; connections that are open keep their translation.
 */
import { originalSourceMark, port, probeAddress, proxyMark } from "../../../core/api/names.ts";

/** Routing table in a pod that delivers such replies locally. */
const localRouteTable = 100;

const podTable = "tombolo";
const nodeTable = "tombolo_node";

export interface PodRules {
  /** Where the agent answers DNS; undefined leaves DNS alone. */
  readonly dnsAddress: string | undefined;
  /** The pod is terminating: new connections are refused, open ones go on. */
  readonly isDraining: boolean;
}

/** Connection tracking zone of the proxy's own connections in a pod. */
const proxyZone = 15;

/** Nobody opens a connection with it: what went through address translation has its translation already. */
const notFirst = "tcp flags & (fin | syn | rst | ack) != syn";
const first = "tcp flags & (fin | syn | rst | ack) == syn";

/** Longer than the 60 s for which Linux keeps a closed socket. */
const servedSeconds = 70;
/** Beyond it some connections are refused that a closed one stands in the way of, and tried again by the caller's proxy. */
const servedMax = 131_072;

const dnsChain = (address: string): string => `
  chain dns {
    type nat hook output priority -110;
    meta mark ${proxyMark} return
    udp dport 53 dnat to ${address}:${port.dns}
    tcp dport 53 dnat to ${address}:${port.dns}
  }`;

/**
 * Connection tracking keeps the proxy's own connections apart (`zone`). Under its client's address it opens a connection to
 * the app that may have the very addresses and ports of another one from that client: in one table they would be taken for
 * each other, and a packet from outside would go past the proxy, straight to the app. It also connects to addresses that
 * the app dials. Only the first direction has the zone: answers of an app are not to be told from others by anything else.
 *
 * Only a connection's first packet is ever redirected: those that were open before the capture go on as they are.
 *
 * Inbound is redirected only where the app has a socket (`socket wildcard` matches bound and wildcard-bound ones): a
 * connection to a port nobody listens on is refused by the kernel, and the caller's proxy goes on to the next endpoint.
 * A socket that the app has just closed hides the one that listens from `socket`; `served` knows where that may be. What is
 * not redirected is refused: nothing from outside reaches the app past the proxy. Nobody but the redirect reaches the
 * proxy's own ports, which would send a connection in a circle.
 */
export const podRules = ({ dnsAddress, isDraining }: PodRules): string => `table ip ${podTable}
delete table ip ${podTable}
table ip ${podTable} {
  set served {
    type ipv4_addr . inet_service . inet_service
    size ${servedMax}
    flags dynamic, timeout
    timeout ${servedSeconds}s
  }
  chain own_in {
    type filter hook prerouting priority -300;
    meta mark { ${originalSourceMark}, ${proxyMark} } ct original zone set ${proxyZone}
  }
  chain own_out {
    type filter hook output priority -300;
    meta mark ${originalSourceMark} tcp flags & (syn | fin) != 0 update @served { ip saddr . tcp sport . tcp dport }
    meta mark { ${originalSourceMark}, ${proxyMark} } ct original zone set ${proxyZone}
  }
  chain inbound {
    type nat hook prerouting priority -100;
    ${notFirst} return
    iifname "lo" return
    ip saddr ${probeAddress} return
    fib daddr type != local return
    meta l4proto tcp socket wildcard 0 redirect to :${port.inbound}
    meta l4proto tcp socket wildcard 1 redirect to :${port.inbound}
    ip saddr . tcp sport . tcp dport @served redirect to :${port.inbound}
  }
  chain outbound {
    type nat hook output priority -100;
    meta mark ${proxyMark} return
    ${notFirst} return
    oifname "lo" return
    ip daddr 127.0.0.0/8 return
    meta l4proto tcp redirect to :${port.outbound}
  }${dnsAddress === undefined ? "" : dnsChain(dnsAddress)}
  chain guard {
    type filter hook input priority 0;
    ${isDraining ? `tcp dport ${port.inbound} tcp flags & (syn|ack) == syn reject with tcp reset` : ""}
    tcp dport { ${port.outbound}, ${port.inbound} } ct status & dnat == 0 ct state new reject with tcp reset
    iifname != "lo" ip saddr != ${probeAddress} ${first} ct status & dnat == 0 reject with tcp reset
  }
  chain source_in {
    type filter hook prerouting priority -150;
    meta mark ${originalSourceMark} ct mark set ${originalSourceMark}
  }
  chain source_out {
    type route hook output priority -150;
    ct mark ${originalSourceMark} ct direction reply meta mark set ${originalSourceMark}
  }
}
`;

/**
 * The mesh captures IPv4 only. Over IPv6 a connection would pass every gate unseen and leave in the clear, so a captured
 * pod has none but with itself; clients that know both go on with IPv4 at once.
 */
export const podRulesOfIpv6 = (): string => `table ip6 ${podTable}
delete table ip6 ${podTable}
table ip6 ${podTable} {
  chain guard_in {
    type filter hook input priority 0;
    iifname != "lo" tcp flags & (syn|ack) == syn reject with tcp reset
  }
  chain guard_out {
    type filter hook output priority 0;
    oifname != "lo" tcp flags & (syn|ack) == syn reject with tcp reset
  }
}
`;

export const noPodRules = (): string => `table ip ${podTable}\ndelete table ip ${podTable}\n`;
export const noPodRulesOfIpv6 = (): string => `table ip6 ${podTable}\ndelete table ip6 ${podTable}\n`;

/** With a preference, so that the kernel knows the rule again and refuses to have it twice. */
const localRule = `pref 100 fwmark ${originalSourceMark} lookup ${localRouteTable}`;

/** For `ip -batch`: replies to a taken-over client address are delivered to Envoy's socket in the pod. */
export const podRoutes = (): string =>
  `route replace local 0.0.0.0/0 dev lo table ${localRouteTable}\nrule add ${localRule}\n`;

export const noPodRoutes = (): string => `rule del ${localRule}\nroute flush table ${localRouteTable}\n`;

/**
 * Processes of the node itself (kubelet probes) enter captured pods under one address, which pods let pass. `meta skuid`
 * matches only packets with a socket on this node, never forwarded ones, so no pod can borrow the address.
 */
export const nodeRules = (podAddresses: readonly string[]): string => `table ip ${nodeTable}
delete table ip ${nodeTable}
table ip ${nodeTable} {
  set captured {
    type ipv4_addr
    ${podAddresses.length === 0 ? "" : `elements = { ${[...podAddresses].sort().join(", ")} }`}
  }
  chain probes {
    type nat hook postrouting priority 100;
    meta skuid >= 0 ip daddr @captured snat to ${probeAddress}
  }
}
`;

export const noNodeRules = (): string => `table ip ${nodeTable}\ndelete table ip ${nodeTable}\n`;
