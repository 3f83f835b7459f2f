/** `tombolo explain`: why a connection of a pod goes where it goes, from the model that the pod's node holds. */
import { type Command, contextFlag, UsageError } from "../command.ts";
import { explanationOf, type Asked } from "../debug/explanation.ts";
import { explanationText } from "../debug/explanation-text.ts";

export const outputFlag = {
  type: "string",
  short: "o",
  value: "FORMAT",
  description: "json, for programs",
} as const;

export function isJson(output: string | undefined): boolean {
  if (output === undefined || output === "json") return output === "json";
  throw new UsageError(`--output ${output} is not known; the only format is json.`);
}

/** `[<ns>/]<pod>` and `<host>:<port>`, as people write them. */
export function askedOf(words: readonly string[], given: string | undefined): Asked {
  const namespace = given ?? "default";
  const isGiven = given !== undefined;
  const [who, where] = words;
  if (who === undefined || where === undefined || words.length > 2) {
    throw new UsageError("Name a pod and where it calls: 'tombolo explain <namespace>/<pod> <host>:<port>'.");
  }
  const parts = who.replace(/^pods?\//, "").split("/");
  const [first = "", second] = parts;
  const target = /^(?:[a-z+]+:\/\/)?\[?([^/\]]+?)\]?:(\d{1,5})(?:\/.*)?$/.exec(where);
  const port = Number(target?.[2]);
  if (parts.length > 2 || first === "") throw new UsageError(`"${who}" names no pod; write <namespace>/<pod>.`);
  if (target?.[1] === undefined || port < 1 || port > 65_535) {
    throw new UsageError(`"${where}" is no place to call; write <host>:<port>.`);
  }
  const of = { host: target[1], port };
  if (second === undefined) return { namespace, pod: first, ...of };
  // A namespace may have this name; with another one given, it is kubectl's word for a Deployment.
  if (/^deploy(ment)?$/.test(first) && isGiven) return { namespace, deployment: second, ...of };
  return { namespace: first, pod: second, ...of };
}

export const explain: Command = {
  path: ["explain"],
  summary: "Say why a call of a pod goes where it goes, and what its destination decides",
  details: `Shows the DNS answer, the service with its scope and segment, every endpoint with its rank or why it is out, what the
policies decide and by which rule, the hops, and the identity that the destination sees. It is computed by the agent of
the pod's node from the very model and functions that make Envoy's configuration, and compared with what Envoy holds.
Nothing is sent. What lies behind a peer's gateway is asked of that cluster, when a context leads there. With --namespace,
deploy/NAME stands for a pod of that Deployment.`,
  positional: "[NAMESPACE/]POD HOST:PORT",
  flags: {
    context: contextFlag,
    namespace: { type: "string", short: "n", value: "NAME", description: "namespace of the pod (default: default)" },
    contexts: {
      type: "string",
      multiple: true,
      value: "A,B,C",
      description: "contexts of peers (default: those that have the names of the peers)",
    },
    output: outputFlag,
  },
  examples: [
    "tombolo explain demo/client web.demo.mesh.internal:8000 --context cluster1",
    "tombolo explain -n demo deploy/client web:8000 -o json",
  ],
  async run(shell, flags) {
    const asked = askedOf(flags.positionals, flags.text("namespace"));
    const asJson = isJson(flags.text("output"));
    const at = await shell.connect(flags.text("context"));
    const explanation = await explanationOf(shell, at, asked, flags.list("contexts"));
    shell.out(asJson ? `${JSON.stringify(explanation, null, 2)}\n` : explanationText(explanation));
    return 0;
  },
};
