/** Puts golden cases to an API server and reads its answers, without what differs from run to run. */
import { request as send } from "node:https";
import type { Answer, Fields, GoldenCase, Request } from "./case.ts";
import { namespace } from "./case.ts";

export interface Server {
  readonly url: string;
  readonly token: string;
  readonly ca: string;
}

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

interface Raw {
  readonly code: number;
  readonly body: unknown;
}

function exchange(server: Server, request: Request): Promise<Raw> {
  const body = request.body === undefined ? undefined : JSON.stringify(request.body);
  const url = new URL(`${request.path}${request.query === undefined ? "" : `?${request.query}`}`, server.url);
  const headers = {
    authorization: `Bearer ${server.token}`,
    accept: "application/json",
    "user-agent": "golden/1",
    ...(body === undefined ? {} : { "content-type": request.type ?? "application/json" }),
  };
  return new Promise((resolve, reject) => {
    const asking = send(url, { method: request.method, headers, ca: server.ca }, (answer) => {
      const parts: Buffer[] = [];
      answer.on("data", (part: Buffer) => parts.push(part));
      answer.on("error", reject);
      answer.on("end", () => {
        const text = Buffer.concat(parts).toString();
        try {
          resolve({ code: answer.statusCode ?? 0, body: JSON.parse(text) as unknown });
        } catch {
          resolve({ code: answer.statusCode ?? 0, body: text });
        }
      });
    });
    asking.on("error", reject);
    asking.end(body);
  });
}

const accountOf = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace } };

/** The namespace and the ServiceAccount that all cases count on. */
export async function prepare(server: Server): Promise<void> {
  const made = { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } };
  await exchange(server, { method: "POST", path: "/api/v1/namespaces", body: made });
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  const { code } = await exchange(server, { method: "POST", path, body: accountOf });
  if (code !== 201 && code !== 409)
    throw new Error(`The ServiceAccount of the golden cases was answered with ${code}.`);
}

export async function ask(server: Server, { name, before, request }: GoldenCase): Promise<Answer> {
  for (const earlier of before) {
    const { code, body } = await exchange(server, earlier);
    if (code !== 201) throw new Error(`"${name}" could not be prepared: ${code} ${JSON.stringify(body)}`);
  }
  const answer = answerOf(await exchange(server, request));
  // What a case prepared goes again, so that cases can be put to the same server twice.
  if (before.length > 0)
    await exchange(server, { method: "DELETE", path: request.path, query: "gracePeriodSeconds=0" });
  return answer;
}

function answerOf({ code, body }: Raw): Answer {
  if (!isFields(body)) return { code, message: String(body) };
  if (code < 300) return { code, object: settled(body) };
  const details = isFields(body["details"]) ? body["details"] : {};
  const causes = Array.isArray(details["causes"]) ? (details["causes"] as unknown[]) : undefined;
  return {
    code,
    reason: String(body["reason"]),
    message: steady(String(body["message"])),
    ...(causes === undefined ? {} : { causes: causes.map(settled) }),
  };
}

const serverSet = new Set(["uid", "resourceVersion", "creationTimestamp", "time"]);
const random: readonly (readonly [RegExp, string])[] = [
  [/kube-api-access-[a-z0-9]{5}/g, "kube-api-access-?????"],
  [/\b10\.96\.\d+\.\d+\b/g, "10.96.?.?"],
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "<uid>"],
];

const steady = (text: string): string => random.reduce((sum, [pattern, name]) => sum.replace(pattern, name), text);

/** Without identities, times and what is given out at random; keys sorted. */
function settled(value: unknown): unknown {
  if (typeof value === "string") return steady(value);
  if (Array.isArray(value)) return value.map(settled);
  if (!isFields(value)) return value;
  const entries = Object.entries(value)
    .filter(([name, field]) => !serverSet.has(name) && field !== null)
    .map(([name, field]): [string, unknown] => {
      const isGivenOut = (name === "nodePort" || name === "healthCheckNodePort") && typeof field === "number";
      return [steady(name), isGivenOut && field >= 30_001 ? "given out" : settled(field)];
    })
    .sort(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries);
}
