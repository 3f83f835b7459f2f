/** Requests that become streams: finds the pod, asks whether the caller may, and hands over to `streaming/`. */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { AnyObject } from "../../../core/api/kube.ts";
import type { Pod } from "../../../core/api/pod.ts";
import type { ApiContext } from "../api/context.ts";
import { getLive } from "../api/context.ts";
import { badRequest, noSuchPath } from "../api/errors.ts";
import type { NodeStreams } from "../node-streams.ts";
import { handleLog } from "../streaming/logs.ts";
import { refuseUpgrade } from "../streaming/status.ts";
import { handleUpgrade, isStreamSubresource } from "../streaming/upgrade.ts";
import type { Call, Handler, LogAnswer } from "./handler.ts";
import type { ResourcePath } from "./path.ts";

// The schema of pods has seen every pod of the store.
const podOf = (object: AnyObject): Pod => object as unknown as Pod;

function livePod(context: ApiContext, { kind, name, namespace }: ResourcePath): Pod {
  if (kind.type.group !== "" || kind.type.plural !== "pods" || name === undefined) throw noSuchPath();
  return podOf(getLive(context, kind, { name, namespace }));
}

export function logAnswer(context: ApiContext, nodeStreams: NodeStreams): LogAnswer {
  const { clock } = context.host;
  return ({ response, path, query }: Call) =>
    handleLog(response, { pod: livePod(context, path), query, nodeStreams, clock });
}

/** Answers an upgrade request; never rejects. */
export function upgradeAnswer(context: ApiContext, nodeStreams: NodeStreams, handler: Handler) {
  return async (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    socket.on("error", () => undefined);
    try {
      const url = new URL(request.url ?? "/", "https://cluster.local");
      const { path } = handler.admit(request, url);
      if (!isStreamSubresource(path.subresource)) {
        throw badRequest(
          `the path ${url.pathname} is no stream: only exec, attach and portforward of pods can be upgraded`,
        );
      }
      const { clock } = context.host;
      const pod = livePod(context, path);
      await handleUpgrade(request, socket, head, { pod, subresource: path.subresource, nodeStreams, clock });
    } catch (error) {
      if (!socket.destroyed) refuseUpgrade(socket, error);
    }
  };
}
