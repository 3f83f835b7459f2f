/** Many watchers of one object at once: each hears of every change, the last included. */
import type { ServerProcess } from "./kit/server-process.ts";
import { exchange, linesOf, stream } from "./kit/wire.ts";

const path = "/api/v1/namespaces/default/configmaps";

/** Throws when a write is refused or a watcher ends before the last change. */
export async function storm(
  server: ServerProcess,
  { watchers, rounds }: { readonly watchers: number; readonly rounds: number },
): Promise<void> {
  const endpoint = { url: server.url, ca: server.ca, token: server.adminToken };
  const watch = `${path}?watch=true&resourceVersion=0&fieldSelector=metadata.name=stormed`;
  const open = await Promise.all(Array.from({ length: watchers }, () => stream(endpoint, watch)));
  const reading = open.map(async (answer, at) => {
    let events = 0;
    for await (const line of linesOf(answer)) {
      events += 1;
      if (!line.includes('"last":"yes"')) continue;
      answer.destroy();
      return events;
    }
    throw new Error(`Watcher ${at} ended after ${events} events, before the last change.`);
  });
  const send = async (method: string, at: string, object: object, type: string) => {
    const { code, text } = await exchange(endpoint, { method, path: at, body: JSON.stringify(object), type });
    if (code >= 300) throw new Error(`A write was answered with ${code}: ${text}`);
  };
  await send("POST", path, { metadata: { name: "stormed" } }, "application/json");
  for (let round = 1; round <= rounds; round += 1) {
    const data = { round: String(round), ...(round === rounds ? { last: "yes" } : {}) };
    await send("PATCH", `${path}/stormed`, { data }, "application/merge-patch+json");
  }
  const counts = new Set(await Promise.all(reading));
  if (counts.size !== 1 || !counts.has(rounds + 1)) {
    throw new Error(`Watchers heard ${[...counts].join(", ")} events of ${rounds + 1}.`);
  }
}
