/** The metrics of the control plane, by name. */
import type { Mesh } from "../../../core/mesh/mesh.ts";
import type { Reconciler } from "../writers/reconciler.ts";
import { Metrics } from "./metrics.ts";

export interface Measured {
  readonly mesh: Mesh;
  readonly writers: readonly Reconciler[];
  readonly agents: () => number;
  readonly isLeader: () => boolean;
  readonly isReady: () => boolean;
}

export class ControlMetrics {
  private readonly metrics = new Metrics();
  private readonly commits = this.metrics.counter("tombolo_commits_total", "Commits of the mesh model.");
  private readonly seconds = this.metrics.histogram(
    "tombolo_commit_seconds",
    "Time that one commit took.",
    [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1],
  );
  private readonly changes = this.metrics.counter(
    "tombolo_model_changes_total",
    "Rows told to agents, by resource type.",
  );
  private readonly rejections = this.metrics.counter(
    "tombolo_model_rejections_total",
    "Responses that an agent refused.",
  );
  private readonly errors = this.metrics.counter(
    "tombolo_writer_errors_total",
    "Failed attempts to write to Kubernetes.",
  );

  measure({ mesh, writers, agents, isLeader, isReady }: Measured): void {
    const { metrics } = this;
    metrics.gauge("tombolo_rows", "Rows per collection.", () =>
      mesh.graph.collections.map(({ name, rows }) => [{ collection: name }, rows.size] as const),
    );
    metrics.gauge("tombolo_model_streams", "Open streams of agents and peers.", () => [[{}, agents()]]);
    metrics.gauge("tombolo_peer_connected", "1 when the link to the peer is up.", () =>
      [...mesh.peers.rows.values()].map(({ cluster }) => {
        const isConnected = mesh.sources.peerStates.rows.get(cluster)?.isConnected === true;
        return [{ peer: cluster }, isConnected ? 1 : 0] as const;
      }),
    );
    metrics.gauge("tombolo_writer_failing", "Keys whose last attempt to be written failed.", () =>
      writers.map((writer) => [{ writer: writer.name }, writer.failing] as const),
    );
    metrics.gauge("tombolo_leader", "1 when this replica writes to Kubernetes.", () => [[{}, isLeader() ? 1 : 0]]);
    metrics.gauge("tombolo_ready", "1 when this replica is synced and serves.", () => [[{}, isReady() ? 1 : 0]]);
  }

  committed(seconds: number): void {
    this.commits.add();
    this.seconds.observe(seconds);
  }

  told(type: string, rows: number): void {
    this.changes.add({ type: type.slice(type.lastIndexOf("/") + 1) }, rows);
  }

  rejected(type: string): void {
    this.rejections.add({ type: type.slice(type.lastIndexOf("/") + 1) });
  }

  failed(writer: string): void {
    this.errors.add({ writer });
  }

  text(): string {
    return this.metrics.text();
  }
}
