/**
 * Service-account tokens (A41): JWTs signed by the cluster's own key, bound to a service account and perhaps to a pod,
 * and good only while both exist. Owns the key; it never leaves this object but for its file.
 */
import type { JsonWebKey, KeyObject } from "node:crypto";
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { AnyObject } from "../../../core/api/kube.ts";
import { msOfIso } from "../../../io/host/iso-time.ts";
import type { ApiContext, User } from "../api/context.ts";
import { fieldsOf, isFields, listOf, textOf } from "../api/json.ts";

export interface Bound {
  readonly kind: "Pod" | "Node" | "Secret";
  readonly name: string;
  readonly uid: string;
}

export interface TokenWish {
  readonly account: AnyObject;
  readonly audiences: readonly string[];
  readonly seconds: number;
  readonly bound?: Bound | undefined;
  /** Node of the bound pod. */
  readonly node?: { readonly name: string; readonly uid: string | undefined } | undefined;
}

export type Verified = { readonly user: User; readonly audiences: readonly string[] } | { readonly problem: string };

/** A token of a pod that is being deleted lives on this long, so that its last words still go through. */
const deletedPodSeconds = 60;
const clockSkewSeconds = 5;

const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

function decoded(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString());
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export class TokenIssuer {
  readonly issuer: string;
  readonly keyId: string;
  readonly #context: ApiContext;
  readonly #key: KeyObject;
  readonly #publicKey: KeyObject;

  private constructor(context: ApiContext, issuer: string, key: KeyObject) {
    this.#context = context;
    this.issuer = issuer;
    this.#key = key;
    this.#publicKey = createPublicKey(key);
    const der = this.#publicKey.export({ type: "spki", format: "der" });
    this.keyId = createHash("sha256").update(der).digest("base64url");
  }

  /** Reads the key from `<directory>/service-account.key`, or makes it. Without a directory the key lives in memory. */
  static async open(context: ApiContext, issuer: string, directory: string | undefined): Promise<TokenIssuer> {
    const fresh = () => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    if (directory === undefined) return new TokenIssuer(context, issuer, fresh());
    const path = join(directory, "service-account.key");
    try {
      return new TokenIssuer(context, issuer, createPrivateKey(await readFile(path)));
    } catch (cause) {
      if (!(cause instanceof Error) || !("code" in cause) || cause.code !== "ENOENT") {
        throw new Error(`The service-account key ${path} cannot be read. Restore it, or remove it to make a new one.`, {
          cause,
        });
      }
    }
    const key = fresh();
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await writeFile(path, key.export({ type: "pkcs8", format: "pem" }), { mode: 0o600, flag: "wx" });
    return new TokenIssuer(context, issuer, key);
  }

  /** The public half, for `/openid/v1/jwks`. */
  jwks(): { readonly keys: readonly JsonWebKey[] } {
    const jwk = this.#publicKey.export({ format: "jwk" });
    return { keys: [{ ...jwk, use: "sig", alg: "ES256", kid: this.keyId }] };
  }

  issue(wish: TokenWish): { readonly token: string; readonly expiresMs: number } {
    const { clock, random } = this.#context.host;
    const now = Math.floor(clock.now() / 1000);
    const { name, namespace, uid } = wish.account.metadata;
    const binding =
      wish.bound === undefined
        ? {}
        : { [wish.bound.kind.toLowerCase()]: { name: wish.bound.name, uid: wish.bound.uid } };
    const claims = {
      aud: wish.audiences,
      exp: now + wish.seconds,
      iat: now,
      iss: this.issuer,
      jti: random.uuid(),
      "kubernetes.io": {
        namespace,
        ...(wish.node === undefined ? {} : { node: wish.node }),
        ...binding,
        serviceaccount: { name, uid },
      },
      nbf: now,
      sub: `system:serviceaccount:${namespace}:${name}`,
    };
    const text = `${encoded({ alg: "ES256", kid: this.keyId })}.${encoded(claims)}`;
    const signature = sign("sha256", Buffer.from(text), { key: this.#key, dsaEncoding: "ieee-p1363" });
    return { token: `${text}.${signature.toString("base64url")}`, expiresMs: claims.exp * 1000 };
  }

  /** `audiences` absent: those of the API server itself. */
  verify(token: string, audiences: readonly string[] = [this.issuer]): Verified {
    const [head = "", body = "", signature = "", ...more] = token.split(".");
    const claims = decoded(body);
    if (claims === undefined || more.length > 0 || decoded(head)?.["alg"] !== "ES256")
      return { problem: "the token is not a JWT of this cluster" };
    const key = { key: this.#publicKey, dsaEncoding: "ieee-p1363" } as const;
    if (!verify("sha256", Buffer.from(`${head}.${body}`), key, Buffer.from(signature, "base64url"))) {
      return { problem: "the token was not signed by this cluster" };
    }
    const now = this.#context.host.clock.now() / 1000;
    const [expires, begins] = [claims["exp"], claims["nbf"]];
    if (claims["iss"] !== this.issuer) return { problem: "the token is from another issuer" };
    if (typeof expires !== "number" || now > expires) return { problem: "the token has expired" };
    if (typeof begins === "number" && now + clockSkewSeconds < begins) return { problem: "the token is not valid yet" };
    const given = [claims["aud"]].flat().flatMap((audience) => textOf(audience) ?? []);
    const shared = given.filter((audience) => audiences.includes(audience));
    if (shared.length === 0) {
      return { problem: `the token's audiences [${given.join(", ")}] do not include any of [${audiences.join(", ")}]` };
    }
    const user = this.#userOf(claims);
    return "problem" in user ? user : { user, audiences: shared };
  }

  #userOf(claims: Record<string, unknown>): User | { readonly problem: string } {
    const own = fieldsOf(claims["kubernetes.io"]);
    const namespace = textOf(own["namespace"]) ?? "";
    const { name, uid } = fieldsOf(own["serviceaccount"]);
    const { store } = this.#context;
    const account = store.get("/serviceaccounts", `${namespace}/${String(name)}`);
    if (account === undefined || account.metadata.uid !== uid) {
      return { problem: `the service account ${namespace}/${String(name)} of the token is gone` };
    }
    const extra: Record<string, readonly string[]> = {
      "authentication.kubernetes.io/credential-id": [`JTI=${String(claims["jti"])}`],
    };
    const pod = fieldsOf(own["pod"]);
    if (own["pod"] !== undefined) {
      const live = store.get("/pods", `${namespace}/${String(pod["name"])}`);
      if (live === undefined || live.metadata.uid !== pod["uid"] || this.#isLongDeleted(live)) {
        return { problem: `the pod ${namespace}/${String(pod["name"])} that the token is bound to is gone` };
      }
      extra["authentication.kubernetes.io/pod-name"] = [String(pod["name"])];
      extra["authentication.kubernetes.io/pod-uid"] = [String(pod["uid"])];
    }
    const node = textOf(fieldsOf(own["node"])["name"]);
    if (node !== undefined) extra["authentication.kubernetes.io/node-name"] = [node];
    return {
      username: `system:serviceaccount:${namespace}:${String(name)}`,
      uid: String(uid),
      groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
      extra,
    };
  }

  #isLongDeleted(pod: AnyObject): boolean {
    const { deletionTimestamp } = pod.metadata;
    if (deletionTimestamp === undefined) return false;
    const limit = isoLater(deletionTimestamp, deletedPodSeconds);
    return limit !== undefined && this.#context.host.clock.now() > limit;
  }
}

function isoLater(text: string, seconds: number): number | undefined {
  const ms = msOfIso(text);
  return ms === undefined ? undefined : ms + seconds * 1000;
}

/** The audiences that a TokenRequest or TokenReview names. */
export const audiencesOf = (spec: unknown): readonly string[] =>
  listOf(fieldsOf(spec)["audiences"]).flatMap((audience) => textOf(audience) ?? []);
