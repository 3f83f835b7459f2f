/** The agent's two HTTP ports: readiness for the kubelet, and metrics of Envoy and the agent for Prometheus. */
import { createServer, type Server, type ServerResponse } from "node:http";
import { errorText } from "../../core/api/error-text.ts";
import { port } from "../../core/api/names.ts";

export interface HealthOptions {
  readonly address: string;
  /** Undefined: ready; else a sentence that says what is missing. */
  unready(): Promise<string | undefined>;
  metrics(): Promise<string>;
}

function listen(server: Server, portNumber: number, address: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(portNumber, address, () => resolve(server));
  });
}

function text(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
  response.end(body);
}

const maxConnections = 256;

function serve(routes: Readonly<Record<string, () => Promise<readonly [status: number, body: string]>>>): Server {
  const server = createServer((request, response) => {
    const route = routes[(request.url ?? "").split("?")[0] ?? ""];
    if (route === undefined) return text(response, 404, `There is ${Object.keys(routes).join(" and ")} here.\n`);
    route().then(
      ([status, body]) => text(response, status, body),
      (error: unknown) => text(response, 500, `${errorText(error)}\n`),
    );
  });
  server.maxConnections = maxConnections;
  return server;
}

export async function serveHealth(options: HealthOptions): Promise<readonly Server[]> {
  const readiness = serve({
    "/healthz/ready": async () => {
      const missing = await options.unready();
      return missing === undefined ? [200, "ready\n"] : [503, `${missing}\n`];
    },
  });
  const metrics = async (): Promise<readonly [number, string]> => [200, await options.metrics()];
  const proxy = serve({ "/stats/prometheus": metrics, "/metrics": metrics });
  return Promise.all([
    listen(readiness, port.readiness, options.address),
    listen(proxy, port.proxyMetrics, options.address),
  ]);
}
