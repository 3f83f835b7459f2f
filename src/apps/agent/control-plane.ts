/** How the agent reaches its control plane: TLS checked against the cluster's root and the control plane's identity. */
import { readFileSync } from "node:fs";
import type { PeerCertificate } from "node:tls";
import grpc from "@grpc/grpc-js";
import { controlPlaneName, systemNamespace } from "../../core/api/names.ts";
import { spiffeId } from "../../core/mesh/model.ts";
import type { AgentConfig } from "./config.ts";

/** Absent names would be compared by Node with the DNS name; ours is the SPIFFE id. */
function checkIdentity(expected: string, certificate: PeerCertificate): Error | undefined {
  const names = (certificate.subjectaltname ?? "").split(", ");
  if (names.includes(`URI:${expected}`)) return undefined;
  return new Error(`The control plane presents ${names.join(", ") || "no name"} instead of ${expected}.`);
}

/** Reads the root anew each time: it is widened while roots rotate. */
export function controlPlaneCredentials(config: AgentConfig): grpc.ChannelCredentials {
  const root = readFileSync(config.rootCertPath);
  const expected = spiffeId(config.trustDomain, systemNamespace, controlPlaneName);
  return grpc.credentials.createSsl(root, null, null, {
    checkServerIdentity: (_name, certificate) => checkIdentity(expected, certificate),
  });
}

/** The projected service-account token; the kubelet renews the file. */
export const token = (config: AgentConfig): string => readFileSync(config.tokenPath, "utf8").trim();

export const channelOptions: grpc.ChannelOptions = {
  // A control plane that vanished without a word is noticed within seconds.
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5_000,
  "grpc.keepalive_permit_without_calls": 1,
};
