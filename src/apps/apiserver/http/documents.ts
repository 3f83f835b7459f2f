/** What is answered besides objects: discovery, OpenAPI and version documents, and the keys of service-account tokens. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { TokenIssuer } from "../auth/tokens.ts";
import { discoveryResponse } from "../discovery/handler.ts";
import type { KindRegistry } from "../kind.ts";
import { sendBytes } from "./answer.ts";
import type { Documents } from "./handler.ts";

export function documentsOf(registry: KindRegistry, issuer: TokenIssuer): Documents {
  return async (request: IncomingMessage, response: ServerResponse, url: URL): Promise<boolean> => {
    if (request.method !== "GET" && request.method !== "HEAD") return false;
    const identity = identityDocument(issuer, url.pathname);
    if (identity !== undefined) {
      const bytes = Buffer.from(JSON.stringify(identity.document));
      await sendBytes(request, response, { code: 200, bytes, type: identity.type });
      return true;
    }
    const found = discoveryResponse(registry, url.pathname + url.search, request.headers);
    if (found === undefined) return false;
    response.writeHead(found.status, { ...found.headers, "Content-Length": found.body.length });
    response.end(request.method === "HEAD" ? undefined : found.body);
    return true;
  };
}

function identityDocument(issuer: TokenIssuer, path: string): { document: unknown; type: string } | undefined {
  if (path === "/openid/v1/jwks") return { document: issuer.jwks(), type: "application/jwk-set+json" };
  if (path !== "/.well-known/openid-configuration") return undefined;
  const document = {
    issuer: issuer.issuer,
    jwks_uri: `${issuer.issuer}/openid/v1/jwks`,
    response_types_supported: ["id_token"],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["ES256"],
  };
  return { document, type: "application/json" };
}
