/** `GET …/pods/<name>/log` (S8): reads the options, asks the node, and sends the text as it comes. */
import type { ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import type { Pod } from "../../../core/api/pod.ts";
import type { Clock } from "../../../io/host/host.ts";
import { msOfIso } from "../../../io/host/iso-time.ts";
import { KubeError } from "../../../io/kube/client.ts";
import type { LogOptions, NodeStreams } from "../node-streams.ts";
import { containerOf, requireNode } from "./target.ts";

export interface LogTarget {
  readonly pod: Pod;
  readonly query: URLSearchParams;
  readonly nodeStreams: NodeStreams;
  readonly clock: Clock;
}

const isOn = (query: URLSearchParams, name: string): boolean => ["true", "1"].includes(query.get(name) ?? "");

const wholeNumber = (query: URLSearchParams, name: string, lowest: number): number | undefined => {
  const text = query.get(name);
  if (text === null || text === "") return undefined;
  const value = Number(text);
  if (Number.isInteger(value) && value >= lowest) return value;
  const detail = `${name}: Invalid value: ${text}: must be greater than or equal to ${lowest}`;
  throw new KubeError(422, "Invalid", `PodLogOptions "" is invalid: ${detail}`);
};

const logOptionsOf = (query: URLSearchParams, nowMs: number, signal: AbortSignal): LogOptions => {
  const seconds = wholeNumber(query, "sinceSeconds", 1);
  const since = query.get("sinceTime");
  if (seconds !== undefined && since !== null) {
    throw new KubeError(400, "BadRequest", "at most one of `sinceTime` or `sinceSeconds` may be specified");
  }
  const sinceTime = since === null ? undefined : msOfIso(since);
  if (since !== null && sinceTime === undefined) {
    throw new KubeError(400, "BadRequest", `sinceTime: ${JSON.stringify(since)} is no time in RFC 3339 form`);
  }
  return {
    follow: isOn(query, "follow"),
    previous: isOn(query, "previous"),
    timestamps: isOn(query, "timestamps"),
    tailLines: wholeNumber(query, "tailLines", 0),
    limitBytes: wholeNumber(query, "limitBytes", 1),
    sinceTime: seconds === undefined ? sinceTime : nowMs - seconds * 1000,
    signal,
  };
};

/** Rejects with `KubeError` before anything is sent; afterwards it resolves when the text or the client has ended. */
export const handleLog = async (response: ServerResponse, target: LogTarget): Promise<void> => {
  const { pod, query, nodeStreams, clock } = target;
  const stop = new AbortController();
  const options = logOptionsOf(query, clock.now(), stop.signal);
  const container = containerOf(pod, query.get("container"));
  requireNode(pod);
  response.once("close", () => stop.abort(new Error("the client has gone")));
  const text = await nodeStreams.logs(pod, container, options);
  response.writeHead(200, { "Content-Type": "text/plain", "Cache-Control": "no-cache, private" });
  response.flushHeaders();
  // A client that hangs up ends a followed log; that is no fault of anybody.
  await pipeline(text, response).catch(() => undefined);
};
