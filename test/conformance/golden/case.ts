/** What a golden case is, and the few words its tables are written in. Pure. */

export interface Request {
  readonly method: "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  /** Of a PATCH; `application/json` otherwise. */
  readonly type?: string;
  readonly query?: string;
  readonly body?: unknown;
}

export interface GoldenCase {
  readonly name: string;
  /** Must succeed; only the answer to `request` is compared. */
  readonly before: readonly Request[];
  readonly request: Request;
}

/** The answer of a server without what differs from run to run. */
export interface Answer {
  readonly code: number;
  /** Of a refusal. */
  readonly reason?: string;
  readonly message?: string;
  readonly causes?: readonly unknown[];
  /** The object, defaulted. */
  readonly object?: unknown;
}

export interface KindUnderTest {
  readonly kind: string;
  readonly apiVersion: string;
  readonly plural: string;
  readonly isClusterScoped?: boolean;
}

export type Fields = Readonly<Record<string, unknown>>;

/** Everything happens in here; both servers have it, with its default ServiceAccount. */
export const namespace = "golden";

const collectionOf = ({ apiVersion, plural, isClusterScoped }: KindUnderTest): string =>
  `${apiVersion.includes("/") ? "/apis" : "/api"}/${apiVersion}${isClusterScoped ? "" : `/namespaces/${namespace}`}/${plural}`;

/** An object of the kind; `metadata` of the fields is added to its own. */
function objectOf(kind: KindUnderTest, name: string, fields: Fields = {}): Fields {
  const { metadata, ...rest } = fields;
  const own = { name, ...(kind.isClusterScoped ? {} : { namespace }), ...(metadata as Fields | undefined) };
  return { apiVersion: kind.apiVersion, kind: kind.kind, metadata: own, ...rest };
}

const common = "fieldManager=golden&fieldValidation=Strict";

/** Creates for a try: nothing stays behind. */
export const creating = (kind: KindUnderTest, about: string, fields: Fields, name = "one"): GoldenCase => ({
  name: about,
  before: [],
  request: {
    method: "POST",
    path: collectionOf(kind),
    query: `dryRun=All&${common}`,
    body: objectOf(kind, name, fields),
  },
});

/** Creates an object for good, and then tries a change of it. */
export const changing = (kind: KindUnderTest, about: string, fields: Fields, change: Fields): GoldenCase => {
  const name = `c-${about.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}`.slice(0, 50).replace(/-$/, "");
  const path = collectionOf(kind);
  return {
    name: about,
    before: [{ method: "POST", path, query: common, body: objectOf(kind, name, fields) }],
    request: {
      method: "PATCH",
      type: "application/merge-patch+json",
      path: `${path}/${name}`,
      query: `dryRun=All&${common}`,
      body: change,
    },
  };
};
