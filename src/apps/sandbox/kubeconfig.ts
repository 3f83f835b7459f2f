/**
 * Puts the sandbox's clusters into the user's kubeconfig and takes them out again. Works on the text, so that comments and
 * everything of others stay; what is ours carries a mark. Pure.
 */
import { isMap, isSeq, parseDocument } from "yaml";
import type { Document, YAMLMap, YAMLSeq } from "yaml";

export interface ClusterAccess {
  /** Name of cluster, user and context. */
  readonly name: string;
  readonly server: string;
  readonly caPem: string;
  readonly token: string;
}

const mark = "tombolo.sandbox";
const lists = ["clusters", "users", "contexts"] as const;

class KubeconfigProblem extends Error {}

function parsed(text: string | undefined, path: string): Document {
  const document = parseDocument(text === undefined || text.trim() === "" ? "{}" : text);
  const [error] = document.errors;
  if (error !== undefined)
    throw new KubeconfigProblem(`${path} is no valid YAML (${error.message}); repair it and try again.`);
  if (!isMap(document.contents))
    throw new KubeconfigProblem(`${path} is no kubeconfig; repair or remove it and try again.`);
  return document;
}

function listOf(document: Document, key: string): YAMLSeq {
  const found = document.get(key);
  if (isSeq(found)) return found;
  const list = document.createNode([]);
  // Made from an array just now.
  document.set(key, list);
  return list as YAMLSeq;
}

const named = (list: YAMLSeq, name: string): YAMLMap | undefined =>
  list.items.find((item): item is YAMLMap => isMap(item) && item.get("name") === name);

/** Users and contexts of ours are those that belong to a marked cluster entry. */
const isMarked = (entry: YAMLMap | undefined): boolean => {
  const extensions = entry?.getIn(["cluster", "extensions"]);
  return isSeq(extensions) && extensions.items.some((item) => isMap(item) && item.get("name") === mark);
};

/** The text with these clusters in it. Throws when a name is taken by a context that is not the sandbox's. */
export function withClusters(text: string | undefined, path: string, clusters: readonly ClusterAccess[]): string {
  const document = parsed(text, path);
  if (document.get("apiVersion") === undefined) document.set("apiVersion", "v1");
  if (document.get("kind") === undefined) document.set("kind", "Config");
  if (isMap(document.contents)) document.contents.flow = false;
  for (const cluster of clusters) {
    const isOurs = isMarked(named(listOf(document, "clusters"), cluster.name));
    const isTaken = lists.some((key) => named(listOf(document, key), cluster.name) !== undefined);
    if (isTaken && !isOurs) {
      throw new KubeconfigProblem(
        `${path} has a context "${cluster.name}" that is not the sandbox's; rename it, or name the sandbox's clusters with --clusters.`,
      );
    }
    for (const [key, entry] of entriesOf(cluster)) put(document, key, cluster.name, entry);
  }
  const current = document.get("current-context");
  const [first] = clusters;
  if ((current === undefined || current === "" || current === null) && first !== undefined) {
    document.set("current-context", first.name);
  }
  return document.toString(styleOf(text ?? ""));
}

/** What is not ours is to look as it did: written by hand, by kubectl, by kind. */
const styleOf = (text: string) => ({
  lineWidth: 0,
  indentSeq: !/^(clusters|contexts|users):[ \t]*\n- /m.test(text),
  flowCollectionPadding: !/\{[^\s{}]/.test(text),
});

const entriesOf = ({ name, server, caPem, token }: ClusterAccess): readonly [(typeof lists)[number], object][] => [
  [
    "clusters",
    {
      name,
      cluster: {
        "certificate-authority-data": Buffer.from(caPem, "utf8").toString("base64"),
        extensions: [{ name: mark, extension: { provider: "tombolo" } }],
        server,
      },
    },
  ],
  ["users", { name, user: { token } }],
  ["contexts", { name, context: { cluster: name, user: name } }],
];

function put(document: Document, key: string, name: string, entry: object): void {
  const list = listOf(document, key);
  list.flow = false;
  const at = list.items.findIndex((item) => isMap(item) && item.get("name") === name);
  const node = document.createNode(entry);
  if (at < 0) list.items.push(node);
  else list.items[at] = node;
}

/** The text without these clusters, where they are the sandbox's; undefined when nothing is to be done. */
export function withoutClusters(text: string, path: string, names: readonly string[]): string | undefined {
  const document = parsed(text, path);
  const ours = names.filter((name) => isMarked(named(listOf(document, "clusters"), name)));
  if (ours.length === 0) return undefined;
  for (const key of lists) {
    const list = listOf(document, key);
    list.items = list.items.filter((item) => !(isMap(item) && ours.includes(String(item.get("name")))));
  }
  if (ours.includes(String(document.get("current-context")))) document.set("current-context", "");
  return document.toString(styleOf(text));
}

/** Whether the file leads to no cluster at all. */
export function isEmptyKubeconfig(text: string, path: string): boolean {
  const document = parsed(text, path);
  return lists.every((key) => listOf(document, key).items.length === 0);
}

/** Files that a kubeconfig may be spread over, in kubectl's order. */
export const kubeconfigPaths = (variable: string | undefined, home: string): readonly string[] => {
  const listed = (variable ?? "").split(":").filter((path) => path !== "");
  return listed.length > 0 ? [...new Set(listed)] : [`${home}/.kube/config`];
};
