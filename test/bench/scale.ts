/**
 * One size of the scale bench: starts a control plane in a process of its own, follows it as an agent with a real Envoy
 * that serves captured pods, and changes one service again and again. Prints one JSON object. Usage: scale.js SERVICES
 */
import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import grpc from "@grpc/grpc-js";
import { applyUpdate } from "../../src/apps/agent/model.ts";
import { engineOptions } from "../../src/core/api/engine-options.ts";
import { typeUrl } from "../../src/core/proto/wire.ts";
import { engineHeap } from "../../src/io/host/heap.ts";
import { DeltaClient } from "../../src/io/xds/delta-client.ts";
import { Lab, poll } from "../field/kit/lab.ts";
import type { Command, Reply } from "./control.ts";
import { processes, quantile, rssOf } from "./process-stats.ts";
import { live, settings } from "./world.ts";

const changes = 60;

export interface ScaleResult {
  readonly services: number;
  readonly rows: number;
  readonly firstBuildMs: number;
  readonly modelSyncMs: number;
  readonly commitMsP50: number;
  readonly changeMsP50: number;
  readonly changeMsP99: number;
  readonly controlRss: number;
  readonly agentRss: number;
  readonly envoyRss: number;
}

const services = Number(process.argv[2]);
const control = fork(join(dirname(process.argv[1] ?? ""), "control.js"), [String(services)], {
  execArgv: [engineOptions.value, "--enable-source-maps"],
});

async function heard<S extends Reply["said"]>(said: S): Promise<Extract<Reply, { said: S }>> {
  for (;;) {
    const [reply] = (await once(control, "message")) as [Reply];
    // The discriminant was compared.
    if (reply.said === said) return reply as Extract<Reply, { said: S }>;
  }
}
function ask<S extends Reply["said"]>(command: Command, said: S): Promise<Extract<Reply, { said: S }>> {
  control.send(command);
  return heard(said);
}

/** Connects the replica of the lab to the control plane; resolves with the time until all rows were there. */
async function follow(lab: Lab, { port, rows }: { port: number; rows: number }, signal: AbortSignal): Promise<number> {
  const replica = lab.replica(settings.cluster);
  const began = performance.now();
  const client = new DeltaClient(lab.host, {
    target: () => `127.0.0.1:${port}`,
    credentials: () => grpc.credentials.createInsecure(),
    node: { id: "bench", cluster: settings.cluster },
    subscriptions: [{ typeUrl: typeUrl.authorization }, { typeUrl: typeUrl.address }],
    received: (update) => applyUpdate(replica, update),
  });
  void client.run(signal);
  // A large model comes in many messages. The lab knows its own pods, which are among them, from the start.
  const known = () => [...replica.workloads()].length + [...replica.services()].length;
  await poll("the whole model", () => client.isSynced && known() >= rows, 120_000);
  return performance.now() - began;
}

/** A client pod and the two pods of the live service, captured on one node. */
async function startPods(lab: Lab): Promise<void> {
  const { wire } = lab;
  await lab.trust();
  wire.node("n1", "172.29.9.1", "10.41.1.1");
  await lab.node("n1", settings.cluster, settings.network);
  for (const [name, address] of Object.entries(live.pods)) {
    wire.pod(name, "n1", address, "10.41.1.1");
    await lab.pod({ name, node: live.node, ip: address, account: name }, {});
  }
}

/** Answers as the client pod sees them, each with the moment it was first seen. */
class Answers {
  readonly #child;
  readonly #seen: { readonly atNs: bigint; readonly text: string }[] = [];
  constructor(lab: Lab, prober: string) {
    const args = ["netns", "exec", lab.wire.ns("c"), process.execPath, prober, live.address, String(live.port)];
    this.#child = spawn("ip", args, { stdio: ["ignore", "pipe", "inherit"] });
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      const [atNs = "0", text = ""] = line.split(" ");
      this.#seen.push({ atNs: BigInt(atNs), text });
    });
  }
  until(text: string, afterNs = 0n): Promise<{ readonly atNs: bigint }> {
    return poll(`the answer of ${text}`, () => this.#seen.find((one) => one.text === text && one.atNs > afterNs));
  }
  end(): void {
    this.#child.kill("SIGKILL");
  }
}

async function measureChanges(answers: Answers): Promise<{ changeMs: number[]; commitMs: number[] }> {
  const changeMs: number[] = [];
  const commitMs: number[] = [];
  for (let at = 0; at < changes; at += 1) {
    const to = at % 2 === 0 ? "b" : "a";
    const flipped = await ask({ do: "flip", to }, "flipped");
    const { atNs } = await answers.until(to, BigInt(flipped.atNs));
    changeMs.push(Number(atNs - BigInt(flipped.atNs)) / 1e6);
    commitMs.push(flipped.commitMs);
  }
  return { changeMs, commitMs };
}

async function main(): Promise<void> {
  const ready = await heard("ready");
  const stop = new AbortController();
  const lab = new Lab("tmbq");
  let answers: Answers | undefined;
  try {
    await startPods(lab);
    const modelSyncMs = await follow(lab, ready, stop.signal);
    answers = new Answers(lab, join(import.meta.dirname, "prober.mjs"));
    await answers.until("a");
    const { changeMs, commitMs } = await measureChanges(answers);
    const envoy =
      processes().find(({ command }) => command.includes(lab.folder) && command.includes("envoy"))?.pid ?? 0;
    const { bytes: controlRss } = await ask({ do: "rss" }, "rss");
    await engineHeap.compact();
    const result: ScaleResult = {
      services,
      rows: ready.rows,
      firstBuildMs: ready.firstBuildMs,
      modelSyncMs,
      commitMsP50: quantile(commitMs, 0.5),
      changeMsP50: quantile(changeMs, 0.5),
      changeMsP99: quantile(changeMs, 0.99),
      controlRss,
      agentRss: rssOf("self"),
      envoyRss: envoy === 0 ? 0 : rssOf(envoy),
    };
    console.log(JSON.stringify(result));
  } finally {
    answers?.end();
    stop.abort(new Error("The bench is over."));
    lab.close();
    control.kill("SIGKILL");
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
