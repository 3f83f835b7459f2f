/**
 * Answers discovery, OpenAPI and version requests. Owns a cache of the written documents per registry, dropped when a
 * kind comes, changes or goes. Bodies over 128 KiB are compressed once and kept (A3).
 */
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import type { KindRegistry } from "../kind.ts";
import {
  aggregatedDocument,
  coreVersionsDocument,
  groupDocument,
  groupListDocument,
  resourceListDocument,
  versionDocument,
} from "./documents.ts";
import { openApiV2Bytes, openApiV2Document, openApiV2Type } from "./openapi-v2.ts";
import { openApiDocuments } from "./openapi.ts";

export interface DiscoveryResponse {
  readonly status: number;
  /** With `Content-Encoding: gzip` when `body` is compressed already. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** As Node gives them: lower case. */
export type RequestHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

const compressFromBytes = 128 * 1024;

interface Written {
  readonly body: Buffer;
  readonly hash: string;
  compressed?: Buffer;
}

class Documents {
  readonly #written = new Map<string, Written>();
  readonly #registry: KindRegistry;
  #openApi: ReadonlyMap<string, () => unknown> | undefined;

  constructor(registry: KindRegistry) {
    this.#registry = registry;
    registry.onChange(() => {
      this.#written.clear();
      this.#openApi = undefined;
    });
  }

  /** The document under `key`, made by `make` when it is not there; undefined when `make` has none. */
  get(key: string, make: () => unknown): Written | undefined {
    const known = this.#written.get(key);
    if (known !== undefined) return known;
    const document = make();
    if (document === undefined) return undefined;
    const body = document instanceof Buffer ? document : Buffer.from(`${JSON.stringify(document)}\n`);
    const written = { body, hash: createHash("sha256").update(body).digest("hex").toUpperCase() };
    this.#written.set(key, written);
    return written;
  }

  openApi(path: string): Written | undefined {
    this.#openApi ??= openApiDocuments(this.#registry);
    const make = this.#openApi.get(path);
    return make === undefined ? undefined : this.get(`openapi ${path}`, make);
  }

  openApiIndex(): Written | undefined {
    this.#openApi ??= openApiDocuments(this.#registry);
    const paths = [...this.#openApi.keys()].map((path) => {
      const hash = this.openApi(path)?.hash ?? "";
      return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` }] as const;
    });
    return this.get("openapi", () => ({ paths: Object.fromEntries(paths) }));
  }
}

const cache = new WeakMap<KindRegistry, Documents>();

const documentsOf = (registry: KindRegistry): Documents => {
  const known = cache.get(registry) ?? new Documents(registry);
  cache.set(registry, known);
  return known;
};

const headerText = (headers: RequestHeaders, name: string): string => {
  const value = headers[name];
  return typeof value === "string" ? value : (value ?? []).join(",");
};

/** The first form of discovery that the client takes and we have; undefined is the legacy one. */
const acceptedDiscovery = (accept: string): "v2" | "v2beta1" | undefined => {
  for (const part of accept.split(",")) {
    const parameters = part.split(";").map((one) => one.trim());
    if (parameters[0] !== "application/json" && parameters[0] !== "*/*") continue;
    if (!parameters.includes("g=apidiscovery.k8s.io")) {
      if (parameters.some((one) => one.startsWith("g="))) continue;
      return undefined;
    }
    if (parameters.includes("v=v2")) return "v2";
    if (parameters.includes("v=v2beta1")) return "v2beta1";
  }
  return undefined;
};

/** Undefined for paths that are not about discovery. `path` may carry a query. */
export const discoveryResponse = (
  registry: KindRegistry,
  path: string,
  headers: RequestHeaders,
): DiscoveryResponse | undefined => {
  const documents = documentsOf(registry);
  const { pathname, searchParams } = new URL(path, "https://server");
  const place = pathname.replace(/\/+$/, "");
  if (place === "/api" || place === "/apis") return rootResponse(registry, documents, place, headers);
  if (place === "/version") return answer(documents.get("version", versionDocument), headers, {});
  if (place === "/openapi/v2") return openApiV2Response(documents, headers);
  if (place === "/openapi/v3") return answer(documents.openApiIndex(), headers, {});
  if (place.startsWith("/openapi/v3/")) {
    const asked = place.slice("/openapi/v3/".length);
    const written = documents.openApi(asked);
    if (written === undefined) return undefined;
    const isImmutable = searchParams.get("hash") === written.hash;
    return answer(written, headers, isImmutable ? { "Cache-Control": "public, immutable, max-age=31536000" } : {});
  }
  const [, root, first = "", second, ...rest] = place.split("/");
  if (rest.length > 0) return undefined;
  const key = `legacy ${place}`;
  if (root === "api" && second === undefined) {
    return answer(
      documents.get(key, () => resourceListDocument(registry, "", first)),
      headers,
      {},
    );
  }
  if (root !== "apis") return undefined;
  const make = () =>
    second === undefined ? groupDocument(registry, first) : resourceListDocument(registry, first, second);
  return answer(documents.get(key, make), headers, {});
};

const openApiV2Response = (documents: Documents, headers: RequestHeaders): DiscoveryResponse | undefined => {
  const vary = { Vary: "Accept" };
  if (headerText(headers, "accept").includes("proto-openapi.spec.v2")) {
    return answer(documents.get("openapi v2 protobuf", openApiV2Bytes), headers, {
      ...vary,
      "Content-Type": openApiV2Type,
    });
  }
  return answer(documents.get("openapi v2", openApiV2Document), headers, vary);
};

const rootResponse = (
  registry: KindRegistry,
  documents: Documents,
  place: "/api" | "/apis",
  headers: RequestHeaders,
): DiscoveryResponse | undefined => {
  const form = acceptedDiscovery(headerText(headers, "accept"));
  const vary = { Vary: "Accept" };
  if (form === undefined) {
    const make = () => (place === "/api" ? coreVersionsDocument() : groupListDocument(registry));
    return answer(documents.get(`legacy ${place}`, make), headers, vary);
  }
  const root = place === "/api" ? "api" : "apis";
  const written = documents.get(`aggregated ${form} ${root}`, () => aggregatedDocument(registry, root, form));
  const type = `application/json;g=apidiscovery.k8s.io;v=${form};as=APIGroupDiscoveryList`;
  return answer(written, headers, { ...vary, "Content-Type": type });
};

const answer = (
  written: Written | undefined,
  headers: RequestHeaders,
  more: Readonly<Record<string, string>>,
): DiscoveryResponse | undefined => {
  if (written === undefined) return undefined;
  const etag = `"${written.hash}"`;
  const common = { ETag: etag, "Content-Type": "application/json", ...more };
  const known = headerText(headers, "if-none-match")
    .split(",")
    .map((one) => one.trim());
  if (known.includes(etag)) return { status: 304, headers: common, body: Buffer.alloc(0) };
  const takesGzip = /\bgzip\b/.test(headerText(headers, "accept-encoding"));
  if (!takesGzip || written.body.length < compressFromBytes)
    return { status: 200, headers: common, body: written.body };
  written.compressed ??= gzipSync(written.body);
  const vary = "Vary" in common ? "Accept, Accept-Encoding" : "Accept-Encoding";
  return { status: 200, headers: { ...common, "Content-Encoding": "gzip", Vary: vary }, body: written.compressed };
};
