import { describe, expect, test } from "vitest";
import type { AnyObject } from "../../../core/api/kube.ts";
import { builtinKinds } from "../schema/builtin.ts";
import { podPrinter } from "./pod-printer.ts";
import { humanDuration } from "./printer.ts";
import { servicePrinter } from "./service-printer.ts";
import { renderTable } from "./table.ts";

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

test.each([
  [-5 * second, "<invalid>"],
  [0, "0s"],
  [119 * second, "119s"],
  [2 * minute, "2m"],
  [2 * minute + 30 * second, "2m30s"],
  [10 * minute + 30 * second, "10m"],
  [179 * minute, "179m"],
  [3 * hour + 5 * minute, "3h5m"],
  [7 * hour, "7h"],
  [8 * hour + 30 * minute, "8h"],
  [47 * hour, "47h"],
  [2 * day + 3 * hour, "2d3h"],
  [8 * day + 3 * hour, "8d"],
  [729 * day, "729d"],
  [2 * 365 * day + 10 * day, "2y10d"],
  [8 * 365 * day, "8y"],
])("an age of %d ms reads %s", (ms, text) => {
  expect(humanDuration(ms)).toBe(text);
});

const nowMs = 1_700_000_000_000;
const iso = (agoMs: number): string => new Date(nowMs - agoMs).toISOString();

const running = (fields: object = {}) => ({
  name: "app",
  ready: true,
  state: { running: {} },
  restartCount: 0,
  ...fields,
});
const waiting = (reason: string) => ({ name: "app", ready: false, state: { waiting: { reason } }, restartCount: 0 });
const ended = (exitCode: number, reason?: string, signal?: number) => ({
  name: "app",
  ready: false,
  restartCount: 0,
  state: {
    terminated: { exitCode, ...(reason === undefined ? {} : { reason }), ...(signal === undefined ? {} : { signal }) },
  },
});

const podOf = (status: object, spec: object = {}, metadata: object = {}): AnyObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "demo", creationTimestamp: iso(5 * minute), ...metadata },
  spec: { containers: [{ name: "app", image: "a" }], ...spec },
  status,
});

const inits = { initContainers: [{ name: "one" }, { name: "two" }] };
const sidecar = { initContainers: [{ name: "proxy", restartPolicy: "Always" }] };

describe("the STATUS of a pod", () => {
  test.each([
    ["runs", podOf({ phase: "Running", containerStatuses: [running()] }), "1/1", "Running", "0"],
    [
      "waits for an image",
      podOf({ phase: "Pending", containerStatuses: [waiting("ErrImagePull")] }),
      "0/1",
      "ErrImagePull",
      "0",
    ],
    ["has no status yet", podOf({ phase: "Pending" }), "0/1", "Pending", "0"],
    ["is done", podOf({ phase: "Succeeded", containerStatuses: [ended(0, "Completed")] }), "0/1", "Completed", "0"],
    ["failed without a reason", podOf({ phase: "Failed", containerStatuses: [ended(3)] }), "0/1", "ExitCode:3", "0"],
    ["was killed", podOf({ phase: "Failed", containerStatuses: [ended(137, undefined, 9)] }), "0/1", "Signal:9", "0"],
    ["was evicted", podOf({ phase: "Failed", reason: "Evicted" }), "0/1", "Evicted", "0"],
    [
      "has its first init container still running",
      podOf(
        { phase: "Pending", initContainerStatuses: [{ name: "one", restartCount: 0, state: { running: {} } }] },
        inits,
      ),
      "0/1",
      "Init:0/2",
      "0",
    ],
    [
      "has a failing second init container",
      podOf(
        {
          phase: "Pending",
          initContainerStatuses: [ended(0, "Completed"), { ...waiting("CrashLoopBackOff"), restartCount: 2 }],
        },
        inits,
      ),
      "0/1",
      "Init:CrashLoopBackOff",
      "2",
    ],
    [
      "has a sidecar",
      podOf(
        {
          phase: "Running",
          initContainerStatuses: [running({ name: "proxy", started: true })],
          containerStatuses: [running()],
        },
        sidecar,
      ),
      "2/2",
      "Running",
      "0",
    ],
    [
      "is being deleted",
      podOf({ phase: "Running", containerStatuses: [running()] }, {}, { deletionTimestamp: iso(0) }),
      "1/1",
      "Terminating",
      "0",
    ],
    [
      "crashes again and again",
      podOf({
        phase: "Running",
        containerStatuses: [
          {
            ...waiting("CrashLoopBackOff"),
            restartCount: 4,
            lastState: { terminated: { finishedAt: iso(10 * second) } },
          },
        ],
      }),
      "0/1",
      "CrashLoopBackOff",
      "4 (10s ago)",
    ],
    [
      "has one of two containers done",
      podOf({ phase: "Running", containerStatuses: [ended(0, "Completed"), running()] }, {}),
      "1/1",
      "NotReady",
      "0",
    ],
  ])("of a pod that %s", (_what, pod, ready, status, restarts) => {
    expect(podPrinter.cells(pod, nowMs).slice(0, 5)).toEqual(["demo", ready, status, restarts, "5m"]);
  });
});

test("a load balancer without an address is pending, with one shows it", () => {
  const service = (status: object): AnyObject => ({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "demo", creationTimestamp: iso(3 * second) },
    spec: { type: "LoadBalancer", clusterIPs: ["10.96.0.9"], ports: [{ port: 80, nodePort: 30_080, protocol: "TCP" }] },
    status,
  });
  const cells = (status: object) => servicePrinter.cells(service(status), nowMs);
  expect(cells({})).toEqual(["demo", "LoadBalancer", "10.96.0.9", "<pending>", "80:30080/TCP", "3s", "<none>"]);
  expect(cells({ loadBalancer: { ingress: [{ ip: "172.18.0.5" }] } })[3]).toBe("172.18.0.5");
});

test("every built-in kind prints as many cells as it has columns, for an object with nothing in it", () => {
  for (const kind of builtinKinds()) {
    const empty: AnyObject = { apiVersion: "", kind: kind.type.kind, metadata: { name: "x" } };
    expect(kind.cells(empty, nowMs), kind.type.kind).toHaveLength(kind.columns.length);
  }
});

test("rows carry metadata, the whole object, or nothing, as asked for", () => {
  const kind = builtinKinds().find((one) => one.type.kind === "ConfigMap");
  if (kind === undefined) throw new Error("no ConfigMap");
  const object: AnyObject = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "x" }, data: { a: "b" } };
  const tableWith = (includeObject: "Metadata" | "Object" | "None", withColumns = true) =>
    renderTable(kind, [object], { nowMs, includeObject, withColumns });
  expect(tableWith("Metadata")).toMatchObject({
    columnDefinitions: [{ name: "Name" }, { name: "Data", type: "integer" }, { name: "Age" }],
    rows: [{ cells: ["x", 1, "<unknown>"], object: { kind: "PartialObjectMetadata", metadata: { name: "x" } } }],
  });
  expect(tableWith("Object")).toMatchObject({ rows: [{ object: { kind: "ConfigMap", data: { a: "b" } } }] });
  expect(JSON.stringify(tableWith("None"))).not.toContain('object":');
  expect(tableWith("None", false)).toMatchObject({ columnDefinitions: null });
});
