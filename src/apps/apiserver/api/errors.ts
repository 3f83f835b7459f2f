/** Every refusal of the API, as the `Status` that kubectl and client-go expect (A4). */
import type { ResourceType } from "../../../core/api/kube.ts";
import { KubeError } from "../../../io/kube/client.ts";
import type { Cause } from "../kind.ts";

type Type = Pick<ResourceType, "group" | "plural" | "kind">;

/** `deployments.apps`, or `pods` in the core group. */
const qualified = (type: Pick<Type, "group" | "plural">): string =>
  type.group === "" ? type.plural : `${type.plural}.${type.group}`;

const detailsOf = (type: Pick<Type, "group" | "plural">, name: string, causes?: readonly object[]) => ({
  ...(name === "" ? {} : { name }),
  ...(type.group === "" ? {} : { group: type.group }),
  kind: type.plural,
  ...(causes === undefined ? {} : { causes }),
});

export const badRequest = (message: string): KubeError => new KubeError(400, "BadRequest", message);

export const unauthorized = (): KubeError => new KubeError(401, "Unauthorized", "Unauthorized");

export const notFound = (type: Pick<Type, "group" | "plural">, name: string): KubeError =>
  new KubeError(404, "NotFound", `${qualified(type)} ${JSON.stringify(name)} not found`, detailsOf(type, name));

/** For paths that lead to no kind. */
export const noSuchPath = (): KubeError =>
  new KubeError(404, "NotFound", "the server could not find the requested resource", {});

export const alreadyExists = (type: Type, name: string): KubeError =>
  new KubeError(
    409,
    "AlreadyExists",
    `${qualified(type)} ${JSON.stringify(name)} already exists`,
    detailsOf(type, name),
  );

export const conflict = (type: Type, name: string, why: string): KubeError =>
  new KubeError(
    409,
    "Conflict",
    `Operation cannot be fulfilled on ${qualified(type)} ${JSON.stringify(name)}: ${why}`,
    detailsOf(type, name),
  );

export const modified = (type: Type, name: string): KubeError =>
  conflict(type, name, "the object has been modified; please apply your changes to the latest version and try again");

export const forbidden = (type: Type, name: string, why: string, causes?: readonly object[]): KubeError => {
  const what = name === "" ? qualified(type) : `${qualified(type)} ${JSON.stringify(name)}`;
  return new KubeError(403, "Forbidden", `${what} is forbidden: ${why}`, detailsOf(type, name, causes));
};

export function invalid(type: Type, name: string, causes: readonly Cause[]): KubeError {
  const kind = type.group === "" ? type.kind : `${type.kind}.${type.group}`;
  const texts = [...new Set(causes.map((cause) => `${cause.field}: ${cause.message}`))];
  const sum = texts.length === 1 ? texts[0] : `[${texts.join(", ")}]`;
  return new KubeError(422, "Invalid", `${kind} ${JSON.stringify(name)} is invalid: ${sum}`, {
    ...detailsOf(type, name),
    kind: type.kind,
    causes: causes.map(({ reason, message, field }) => ({ reason, message, field })),
  });
}

export const methodNotAllowed = (): KubeError =>
  new KubeError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {});

export const unsupportedMediaType = (message: string): KubeError => new KubeError(415, "UnsupportedMediaType", message);

export const notAcceptable = (message: string): KubeError => new KubeError(406, "NotAcceptable", message);

export const tooLarge = (limit: number): KubeError =>
  new KubeError(413, "RequestEntityTooLarge", `Request entity too large: limit is ${limit}`);

/** A list that asks for a revision which is still to come (A21). */
export const fromTheFuture = (asked: number, current: number): KubeError =>
  new KubeError(504, "Timeout", `Timeout: Too large resource version: ${asked}, current: ${current}`, {
    causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
    retryAfterSeconds: 1,
  });

export const expired = (message: string): KubeError => new KubeError(410, "Expired", message);
