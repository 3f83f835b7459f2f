/** Sends a request through this node's Envoy along every way to other nodes and peers, and says what came back. */
import { request } from "node:http";
import { errorText } from "../../../core/api/error-text.ts";
import { socketText } from "../../../core/envoy/names.ts";
import { probeAnswer, probeHeader, probeTargets, type ProbeTarget } from "../../../core/envoy/probe.ts";
import type { NodeView } from "../../../core/envoy/view.ts";
import type { ProbeAnswer } from "../../../core/explain/answers.ts";
import type { Host } from "../../../io/host/host.ts";

const inFlightMax = 16;
const answerMsMax = 8_000;
const bodyCharactersMax = 500;

interface Answered {
  readonly status: number;
  readonly body: string;
  readonly header: (name: string) => string;
}

const send = (doorPath: string, envoyCluster: string): Promise<Answered> =>
  new Promise((resolve, reject) => {
    const headers = { host: "probe", [probeHeader]: envoyCluster, connection: "close" };
    const sent = request({ socketPath: doorPath, path: "/", headers, timeout: answerMsMax }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => (body = (body + text).slice(0, bodyCharactersMax)));
      response.on("error", reject);
      response.on("end", () => {
        const header = (name: string) => String(response.headers[name] ?? "");
        resolve({ status: response.statusCode ?? 0, body, header });
      });
    });
    sent.on("timeout", () => sent.destroy(new Error(`there was no answer within ${answerMsMax / 1000} s`)));
    sent.on("error", reject);
    sent.end();
  });

async function probe(host: Host, view: NodeView, target: ProbeTarget): Promise<ProbeAnswer> {
  const { cluster, node, envoyCluster } = target;
  const via = socketText(target.via);
  const began = host.clock.elapsed();
  const done = (rest: Pick<ProbeAnswer, "isGood" | "reached" | "problem">): ProbeAnswer => ({
    cluster,
    node,
    via,
    ms: Math.round(host.clock.elapsed() - began),
    ...rest,
  });
  try {
    const { status, body, header } = await send(view.probe?.doorPath ?? "", envoyCluster);
    if (status !== 200) return done({ isGood: false, problem: `Envoy answers ${status}: ${body.trim()}` });
    const reached = {
      cluster: header(probeAnswer.cluster),
      node: header(probeAnswer.node),
      server: header(probeAnswer.server),
      client: header(probeAnswer.client),
    };
    const problem = misled(target, reached, view.probe?.identity ?? "");
    return done({ isGood: problem === undefined, reached, ...(problem === undefined ? {} : { problem }) });
  } catch (error) {
    return done({ isGood: false, problem: errorText(error) });
  }
}

function misled(
  target: ProbeTarget,
  reached: NonNullable<ProbeAnswer["reached"]>,
  identity: string,
): string | undefined {
  if (reached.cluster !== target.cluster) return `cluster ${reached.cluster} answered instead of ${target.cluster}`;
  if (target.node !== "" && reached.node !== target.node)
    return `node ${reached.node} answered instead of ${target.node}`;
  return reached.client === identity
    ? undefined
    : `the far end saw ${reached.client || "nobody"} instead of ${identity}`;
}

/** To everybody, or to one cluster only. */
export async function probeAll(host: Host, view: NodeView, only: string | null): Promise<readonly ProbeAnswer[]> {
  const targets = probeTargets(view).filter(({ cluster }) => only === null || cluster === only);
  const results: ProbeAnswer[] = [];
  const queue = [...targets];
  const work = async () => {
    for (let target = queue.shift(); target !== undefined; target = queue.shift()) {
      results.push(await probe(host, view, target));
    }
  };
  await Promise.all(Array.from({ length: inFlightMax }, work));
  return results.sort((a, b) => (`${a.cluster} ${a.via}` < `${b.cluster} ${b.via}` ? -1 : 1));
}
