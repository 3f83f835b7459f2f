/** Who a request comes from: the admin's token, or a service account's. There is no anonymous user (A1). */
import { createHash, timingSafeEqual } from "node:crypto";
import type { User } from "../api/context.ts";
import type { TokenIssuer } from "./tokens.ts";

export const admin: User = {
  username: "kubernetes-admin",
  groups: ["system:masters", "system:authenticated"],
};

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

export class Authenticator {
  readonly #adminDigest: Buffer;
  readonly #issuer: TokenIssuer;

  constructor(adminToken: string, issuer: TokenIssuer) {
    if (adminToken.length < 16) throw new Error("The admin token must have at least 16 characters.");
    this.#adminDigest = digest(adminToken);
    this.#issuer = issuer;
  }

  isAdminToken(token: string): boolean {
    return timingSafeEqual(digest(token), this.#adminDigest);
  }

  /** `header` is the Authorization header; undefined: nobody that we know. */
  userOf(header: string | undefined): User | undefined {
    const token = /^Bearer\s+(\S+)$/i.exec(header ?? "")?.[1];
    if (token === undefined) return undefined;
    if (this.isAdminToken(token)) return admin;
    const verified = this.#issuer.verify(token);
    return "problem" in verified ? undefined : verified.user;
  }
}
