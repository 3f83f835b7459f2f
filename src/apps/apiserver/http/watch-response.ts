/** Streams a watch as JSON lines (A21). Reads the next event only when the socket has taken the last one. */
import type { ServerResponse } from "node:http";
import type { AnyObject } from "../../../core/api/kube.ts";
import type { ApiEvent, WatchStream } from "../api/watch.ts";
import type { Kind } from "../kind.ts";
import { partialMetadata, renderTable } from "../tables/table.ts";
import type { Form } from "./negotiate.ts";
import { statusOf } from "./answer.ts";

export interface Shown {
  readonly kind: Kind;
  readonly form: Form;
  readonly includeObject: "Metadata" | "Object" | "None";
  nowMs(): number;
}

function beginStream(response: ServerResponse): void {
  response.writeHead(200, {
    "Content-Type": "application/json",
    "Cache-Control": "no-cache, private",
    "Transfer-Encoding": "chunked",
  });
  response.flushHeaders();
}

/** A refusal, such as 410, as the one event of a stream. */
export function sendErrorEvent(response: ServerResponse, error: unknown): void {
  beginStream(response);
  response.end(`${JSON.stringify({ type: "ERROR", object: statusOf(error).body })}\n`);
}

export async function sendWatch(response: ServerResponse, stream: WatchStream, shown: Shown): Promise<void> {
  beginStream(response);
  response.on("close", () => stream.end());
  let isFirst = true;
  for await (const event of stream) {
    const line = `${JSON.stringify({ type: event.type, object: shownObject(event, shown, isFirst) })}\n`;
    if (event.type !== "BOOKMARK") isFirst = false;
    if (response.destroyed) break;
    if (!response.write(line)) await drained(response);
  }
  response.end();
}

/** Resolves when the socket takes more, or is gone. */
const drained = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    const go = () => {
      response.off("drain", go);
      response.off("close", go);
      resolve();
    };
    response.on("drain", go);
    response.on("close", go);
    if (response.destroyed) go();
  });

function shownObject(event: ApiEvent, shown: Shown, isFirst: boolean): unknown {
  const { kind, form, includeObject } = shown;
  const { object } = event;
  if (form.as === undefined) return object;
  if (form.as === "PartialObjectMetadata") return partialMetadata(object);
  return renderTable(kind, event.type === "BOOKMARK" ? [] : [object], {
    nowMs: shown.nowMs(),
    includeObject,
    withColumns: isFirst,
    listMetadata: { resourceVersion: versionOf(object) },
  });
}

const versionOf = (object: AnyObject): string => object.metadata.resourceVersion ?? "";
