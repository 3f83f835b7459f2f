/**
 * Namespaces of other processes, entered by this thread for the length of one synchronous call: a socket made there stays
 * there, a process forked there lives there. Nothing asynchronous may happen in between; when the way back fails the
 * process ends, since everything after would happen in the wrong place.
 */
import { closeSync, openSync } from "node:fs";
import { createRequire } from "node:module";
import { Socket } from "node:net";

export interface NamespacePaths {
  readonly net?: string | undefined;
  readonly uts?: string | undefined;
  readonly ipc?: string | undefined;
  /** For children only. No thread may be made while it is entered. */
  readonly pid?: string | undefined;
}

interface Libc {
  setns(fd: number, kind: number): number;
  socket(domain: number, type: number, protocol: number): number;
  connect(fd: number, address: Buffer, length: number): number;
  getsockopt(fd: number, level: number, name: number, value: Buffer, length: Buffer): number;
  errno(): number;
}

const kinds = ["net", "uts", "ipc", "pid"] as const;
const socketKind = { family: 2, stream: 1, nonBlocking: 0o4000, closeOnExec: 0o2000000 } as const;
const errnoInProgress = 115;
const solSocket = 1;

let loaded: Libc | undefined;

/** koffi is loaded at first use only: most programs never enter a namespace. */
function libc(): Libc {
  if (loaded !== undefined) return loaded;
  // koffi describes itself; only these few calls of it are used.
  const koffi = createRequire(import.meta.url)("koffi") as {
    load(name: string): { func(signature: string): (...args: unknown[]) => number };
    errno(): number;
  };
  const library = koffi.load("libc.so.6");
  loaded = {
    setns: library.func("int setns(int fd, int nstype)"),
    socket: library.func("int socket(int domain, int type, int protocol)"),
    connect: library.func("int connect(int fd, const void *address, uint32_t length)"),
    getsockopt: library.func("int getsockopt(int fd, int level, int name, void *value, void *length)"),
    errno: () => koffi.errno(),
  };
  return loaded;
}

/** Runs `act` with this thread inside the given namespaces. `act` must be synchronous. */
export function withNamespaces<T>(paths: NamespacePaths, act: () => T): T {
  const calls = libc();
  const opened: { own: number; other: number; path: string }[] = [];
  let entered = 0;
  try {
    for (const kind of kinds) {
      const path = paths[kind];
      if (path === undefined) continue;
      const other = openSync(path, "r");
      opened.push({ other, path, own: openSync(ownNamespace(kind), "r") });
    }
    for (const { other, path } of opened) {
      if (calls.setns(other, 0) !== 0) throw new Error(`Cannot enter the namespace ${path} (errno ${calls.errno()}).`);
      entered += 1;
    }
    return act();
  } finally {
    for (const { own } of opened.slice(0, entered)) {
      if (calls.setns(own, 0) !== 0) {
        process.stderr.write("Cannot return to the own namespace; ending.\n");
        process.abort();
      }
    }
    for (const { own, other } of opened) {
      closeSync(own);
      closeSync(other);
    }
  }
}

/** Entering a pid namespace changes only what children get, so that is also what must be restored. */
const ownNamespace = (kind: (typeof kinds)[number]): string =>
  kind === "pid" ? "/proc/thread-self/ns/pid_for_children" : `/proc/thread-self/ns/${kind}`;

function ipv4SocketAddress(address: string, port: number): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeUInt16LE(socketKind.family, 0);
  bytes.writeUInt16BE(port, 2);
  const parts = address.split(".").map(Number);
  if (parts.length !== 4 || parts.some((part) => !(part >= 0 && part <= 255))) {
    throw new Error(`${address} is not an IPv4 address.`);
  }
  parts.forEach((part, index) => bytes.writeUInt8(part, 4 + index));
  return bytes;
}

/**
 * Connects a TCP socket made inside `netns` (a path such as /run/netns/x). Rejects with the reason of the failure, after
 * `timeoutMs` at the latest.
 */
export function dialInside(netns: string, address: string, port: number, timeoutMs: number): Promise<Socket> {
  const where = `${address}:${port}`;
  const calls = libc();
  const begun = withNamespaces({ net: netns }, () => {
    const fd = calls.socket(socketKind.family, socketKind.stream | socketKind.nonBlocking | socketKind.closeOnExec, 0);
    if (fd < 0) return { fd, errno: calls.errno() };
    const code = calls.connect(fd, ipv4SocketAddress(address, port), 16);
    return { fd, errno: code === 0 ? 0 : calls.errno() };
  });
  if (begun.fd < 0) return Promise.reject(new Error(`Cannot make a socket for ${where} (errno ${begun.errno}).`));
  if (begun.errno !== 0 && begun.errno !== errnoInProgress) {
    closeSync(begun.fd);
    return Promise.reject(new Error(`dial tcp ${where}: connect: ${errnoText(begun.errno)}`));
  }
  return connected(begun.fd, where, timeoutMs, begun.errno === 0);
}

const errnoTexts: Readonly<Record<number, string>> = {
  101: "network is unreachable",
  110: "connection timed out",
  111: "connection refused",
  113: "no route to host",
};
const errnoText = (errno: number): string => errnoTexts[errno] ?? `errno ${errno}`;

/** Waits until the kernel has finished the connect that is under way on `fd`. */
async function connected(fd: number, where: string, timeoutMs: number, isReady: boolean): Promise<Socket> {
  if (!isReady) await finishConnect(fd, where, timeoutMs);
  return new Socket({ fd, readable: true, writable: true });
}

/** Polls SO_ERROR and TCP_INFO: libuv has no way to adopt a socket that is still connecting. */
async function finishConnect(fd: number, where: string, timeoutMs: number): Promise<void> {
  const until = Date.now() + timeoutMs;
  for (let waitMs = 0; ; waitMs = Math.min(20, waitMs + 1)) {
    const state = connectState(fd);
    if (state === "connected") return;
    if (state !== "connecting" || Date.now() > until) {
      closeSync(fd);
      const why = state === "connecting" ? "i/o timeout" : `connect: ${errnoText(state)}`;
      throw new Error(`dial tcp ${where}: ${why}`);
    }
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

function connectState(fd: number): "connected" | "connecting" | number {
  const calls = libc();
  const value = Buffer.alloc(4);
  const length = Buffer.from([4, 0, 0, 0]);
  const soError = 4;
  calls.getsockopt(fd, solSocket, soError, value, length);
  const error = value.readInt32LE(0);
  if (error !== 0) return error;
  // First byte of TCP_INFO is the state; 2 is SYN_SENT.
  const info = Buffer.alloc(8);
  calls.getsockopt(fd, 6, 11, info, Buffer.from([8, 0, 0, 0]));
  return info.readUInt8(0) === 2 ? "connecting" : "connected";
}
