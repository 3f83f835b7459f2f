/** What a node's folder of CNI configurations means (CNI specification 1.0, and how container runtimes read it). */

const isConfiguration = (name: string): boolean => /\.(conf|conflist|json)$/.test(name);

/** Of the files in the folder, the one that container runtimes take: the first by name. */
export const configurationName = (names: readonly string[]): string | undefined =>
  [...names].sort().find(isConfiguration);
