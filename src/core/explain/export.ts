/** The far side of a call through a gateway: which pods of this cluster a server name leads to, and whom they let in. */
import { exportedServices } from "../envoy/gateway.ts";
import type { GatewayView } from "../envoy/view.ts";
import { type Candidate, candidateOf } from "./candidate.ts";

export interface ExportQuestion {
  /** As in the server name: the service's name in its owner's segment. */
  readonly hostname: string;
  readonly port: number;
  /** SPIFFE id of the client. */
  readonly identity: string;
  /** The address that the pods see, when the client reaches them without a gateway. */
  readonly ip?: string | undefined;
}

export interface ExportExplanation {
  readonly cluster: string;
  readonly hostname: string;
  readonly port: number;
  /** Keys of the services that are exported under the name; none: the gateway closes the connection. */
  readonly services: readonly string[];
  readonly candidates: readonly Candidate[];
}

export function explainExport(
  view: Pick<GatewayView, "cluster" | "network" | "replica">,
  { hostname, port, identity, ip }: ExportQuestion,
): ExportExplanation {
  const nowhere = { host: "", port: 0 };
  const services = exportedServices({ ...view, controlPlane: nowhere }, { hostname, port });
  // Behind a gateway pods see that as their client, and which of its addresses, is not known here.
  const judge = { replica: view.replica, cluster: view.cluster, client: { identity, ip } };
  return {
    cluster: view.cluster,
    hostname,
    port,
    services: services.map(({ key }) => key),
    candidates: services.flatMap(({ endpoints }) => endpoints.map((one) => candidateOf(one, judge))),
  };
}
