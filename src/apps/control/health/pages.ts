/** Which pages are served where: readiness for the kubelet, metrics for Prometheus, rows for this machine only. */
import { sortedRows } from "../../../core/graph/order.ts";
import type { Mesh } from "../../../core/mesh/mesh.ts";
import type { TrustFacts } from "../trust/trust-facts.ts";
import type { ControlMetrics } from "./control-metrics.ts";
import { jsonPage, servePages, textPage } from "./health-server.ts";
import type { PageServer } from "./health-server.ts";

const metricsType = "text/plain; version=0.0.4; charset=utf-8";

export const serveHealth = (port: number, isReady: () => boolean): Promise<PageServer> =>
  servePages(port, undefined, {
    "/healthz/ready": () => (isReady() ? textPage("ready\n") : textPage("not ready\n", 503)),
    "/healthz/live": () => textPage("alive\n"),
  });

export const serveMetrics = (port: number, metrics: ControlMetrics): Promise<PageServer> =>
  servePages(port, undefined, {
    "/metrics": () => ({ contentType: metricsType, text: metrics.text() }),
    "/stats/prometheus": () => ({ contentType: metricsType, text: metrics.text() }),
  });

/**
 * `/debug/problems` is the list of all that is wrong, as Problem rows; `/debug/collections` lists the collections,
 * `/debug/collections/<name>` shows rows, `?key=` explains one row; `/debug/trust` shows the certificates that the
 * cluster's trust rests on.
 */
export const serveDebug = (port: number, { graph, problems }: Mesh, trust: () => TrustFacts): Promise<PageServer> =>
  servePages(port, "127.0.0.1", {
    "/debug/problems": () => jsonPage(sortedRows(problems).map(([, problem]) => problem)),
    "/debug/trust": () => jsonPage(trust()),
    "/debug/collections": () =>
      jsonPage(Object.fromEntries(graph.collections.map(({ name, rows }) => [name, rows.size]))),
    "/debug/collections/": (name, query) => {
      const table = graph.collections.find((one) => one.name === name);
      if (table === undefined) return textPage(`There is no collection ${name}; see /debug/collections.\n`, 404);
      const key = query.get("key");
      return jsonPage(key === null ? new Map(table.rows) : table.explain(key));
    },
  });
