/** DNS names as Kubernetes takes them: lower case, without a dot at the end (RFC 1123). Pure. */

const nameCharactersMax = 253;

export const isDnsLabel = (text: string): boolean => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text);

/** One or more labels. */
export const isDnsName = (text: string): boolean =>
  text.length <= nameCharactersMax && text.split(".").every(isDnsLabel);
