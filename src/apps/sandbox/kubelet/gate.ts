/**
 * Holds a node's kubelet still: while the gate is closed, none of its timers comes due and none of its requests is sent; when
 * it opens, everything goes on, as after a machine was frozen.
 */
import type { Host } from "../../../io/host/host.ts";
import type { KubeClient } from "../../../io/kube/client.ts";

export class Gate {
  private waiting: (() => void)[] = [];
  private closed = false;

  get isClosed(): boolean {
    return this.closed;
  }

  close(): void {
    this.closed = true;
  }

  open(): void {
    this.closed = false;
    const due = this.waiting;
    this.waiting = [];
    for (const act of due) act();
  }

  /** At once when the gate is open, else when it opens, in the order of asking. */
  whenOpen(act: () => void): void {
    if (this.closed) this.waiting.push(act);
    else act();
  }

  async passed(): Promise<void> {
    if (this.closed) await new Promise<void>((resolve) => this.whenOpen(resolve));
  }
}

export const gatedHost = (host: Host, gate: Gate): Host => ({
  ...host,
  clock: {
    now: () => host.clock.now(),
    elapsed: () => host.clock.elapsed(),
    sleep: async (ms, signal) => {
      await host.clock.sleep(ms, signal);
      await gate.passed();
      signal?.throwIfAborted();
    },
    after: (ms, heard) => {
      let isCancelled = false;
      const cancel = host.clock.after(ms, () => {
        gate.whenOpen(() => {
          if (!isCancelled) heard();
        });
      });
      return () => {
        isCancelled = true;
        cancel();
      };
    },
  },
});

/** Watches are not held: a kubelet hears through informers that all nodes share, and `whenOpen` holds what it hears. */
export const gatedClient = (client: KubeClient, gate: Gate): KubeClient => ({
  get: async (...args) => gate.passed().then(() => client.get(...args)),
  list: async (...args) => gate.passed().then(() => client.list(...args)),
  watch: (...args) => client.watch(...args),
  create: async (...args) => gate.passed().then(() => client.create(...args)),
  update: async (...args) => gate.passed().then(() => client.update(...args)),
  patch: async (...args) => gate.passed().then(() => client.patch(...args)),
  delete: async (...args) => gate.passed().then(() => client.delete(...args)),
  post: async (...args) => gate.passed().then(() => client.post(...args)),
});
