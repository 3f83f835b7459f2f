/** Certificates and trust bundles as Envoy takes them: a secret per identity and one validation context for all. */
import { trustSecretName } from "./names.ts";
import { envoyType, extension, type EnvoyResource } from "./resource.ts";
import type { SecretSource } from "./view.ts";

/** Undefined while there is no certificate for the identity, or no root of trust at all: listeners then wait closed. */
export function secretOf(secrets: SecretSource, name: string): EnvoyResource | undefined {
  if (name === trustSecretName) {
    const root = secrets.rootOfAllDomains?.();
    return root === undefined ? trustSecret(secrets.bundlesByTrustDomain()) : rootSecret(root);
  }
  const pair = secrets.certificateOf(name);
  if (!pair) return undefined;
  const certificate = {
    certificate_chain: { inline_string: pair.certificateChain },
    private_key: { inline_string: pair.privateKey },
  };
  return { type: envoyType.secret, name, resource: { name, tls_certificate: certificate } };
}

/**
 * Clusters that share a root but not a trust domain: a caller may come from a domain of which nothing was ever exported,
 * so the domains cannot be listed. Who is dialled is still checked by name, and policies see whole identities.
 */
const rootSecret = (pem: string): EnvoyResource => ({
  type: envoyType.secret,
  name: trustSecretName,
  resource: { name: trustSecretName, validation_context: { trusted_ca: { inline_string: pem } } },
});

/** No certificate authority can name an identity of another trust domain than its own. */
function trustSecret(bundles: ReadonlyMap<string, string>): EnvoyResource | undefined {
  if (bundles.size === 0) return undefined;
  const trustDomains = [...bundles]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, pem]) => ({ name, trust_bundle: { inline_string: pem } }));
  const validator = extension("transport_sockets.tls.v3.SPIFFECertValidatorConfig", { trust_domains: trustDomains });
  const context = {
    custom_validator_config: { name: "envoy.tls.cert_validator.spiffe", typed_config: validator },
  };
  return {
    type: envoyType.secret,
    name: trustSecretName,
    resource: { name: trustSecretName, validation_context: context },
  };
}
