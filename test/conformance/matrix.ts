/**
 * What people type: kubectl commands in the order of a day's work, each with what it must print. Run against a sandbox
 * whose pods really run, by any kubectl. Owns one namespace, which the last steps remove.
 */
import { spawn } from "node:child_process";
import { run } from "../field/kit/program.ts";

export interface MatrixTarget {
  readonly kubectl: string;
  readonly env: NodeJS.ProcessEnv;
  readonly context: string;
  readonly namespace: string;
}

interface Step {
  readonly name: string;
  readonly args: readonly string[];
  readonly input?: string;
  /** On what is printed, to both outputs. */
  readonly prints: RegExp;
  readonly code?: number;
  readonly env?: NodeJS.ProcessEnv;
}

const words = (text: string): readonly string[] => text.split(" ");

const step = (name: string, command: string, prints: RegExp, more: Partial<Step> = {}): Step => ({
  name,
  args: words(command),
  prints,
  ...more,
});

const labels = { app: "web" };
const web = (image = "mccutchen/go-httpbin", more: object = {}) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", ...more },
  spec: {
    replicas: 1,
    selector: { matchLabels: labels },
    template: {
      metadata: { labels },
      spec: { containers: [{ name: "web", image, ports: [{ containerPort: 8080 }] }] },
    },
  },
});
const service = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "web" },
  spec: { selector: labels, ports: [{ name: "http", port: 8000, targetPort: 8080 }] },
};
const list = (...items: readonly object[]) => JSON.stringify({ apiVersion: "v1", kind: "List", items });

const gem = (group: string) => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `gems.${group}` },
  spec: {
    group,
    scope: "Namespaced",
    names: { plural: "gems", singular: "gem", kind: "Gem", shortNames: ["gm"] },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        additionalPrinterColumns: [{ name: "Carats", type: "integer", jsonPath: ".spec.carats" }],
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: {
                type: "object",
                properties: { carats: { type: "integer", minimum: 1, description: "Weight of the gem." } },
                "x-kubernetes-validations": [
                  { rule: "self.?carats.orValue(1) < 100", message: "too heavy to be true" },
                ],
              },
            },
          },
        },
      },
    ],
  },
});

export function steps(namespace: string): readonly Step[] {
  const group = `${namespace}.example`;
  const ruby = (carats: number) =>
    JSON.stringify({ apiVersion: `${group}/v1`, kind: "Gem", metadata: { name: "ruby" }, spec: { carats } });
  const created = /created/;
  return [
    step("version", "version", /Server Version: v1\.\d+/),
    step("contexts", "config get-contexts", /CURRENT +NAME/),
    step("create namespace", `create namespace ${namespace}`, created),
    step("label", `label namespace ${namespace} team=blue`, /labeled/),
    step("label again", `label namespace ${namespace} team=red --overwrite`, /labeled/),
    step("remove a label", `label namespace ${namespace} team-`, /unlabeled/),
    step("wait for the account", `wait --for=create sa/default --timeout=20s`, /condition met|default/),
    step("create serviceaccount", "create serviceaccount robot", created),
    step("create configmap", "create configmap settings --from-literal=a=b", created),
    step("create secret", "create secret generic keys --from-literal=a=b", created),
    step("apply a list", "apply -f -", /deployment.apps\/web created\s+service\/web created/, {
      input: list(web(), service),
    }),
    step("apply it again", "apply -f -", /web unchanged\s+service\/web unchanged/, { input: list(web(), service) }),
    step("rollout status", "rollout status deploy/web --timeout=60s", /successfully rolled out/),
    step("wait", "wait --for=condition=Available deploy/web --timeout=30s", /condition met/),
    step("get a table", "get deploy,svc -o wide", /web +1\/1 +1 +1[^]*service\/web +ClusterIP/),
    step("get by label as JSON path", "get pods -l app=web -o jsonpath={.items[0].status.phase}", /^Running$/),
    step("get by field", "get pods --field-selector=status.phase=Running -o name", /^pod\/web-/),
    step("get everything", "get all -A", /service\/kubernetes/),
    step("describe", "describe deploy/web", /1 desired \| 1 updated \| 1 total/),
    step("events", "get events --field-selector=reason=Started", /Started/),
    step("exec", "exec deploy/web -- echo hello", /^hello/),
    step("exec with input", "exec -i deploy/web -- cat", /^through stdin/, { input: "through stdin" }),
    step("exec with an exit code", "exec deploy/web -- sh -c exit${IFS}7", /exit code 7/, { code: 7 }),
    step(
      "debug with curl",
      "debug -i POD --image=curlimages/curl -- curl -s -o /dev/null -w %{http_code} http://web:8000/get",
      /200/,
    ),
    step("logs", "logs deploy/web --tail=5", /[^]*/),
    step("scale", "scale deploy/web --replicas=2", /scaled/),
    step("scaled", "rollout status deploy/web --timeout=60s", /successfully rolled out/),
    step("restart", "rollout restart deploy/web", /restarted/),
    step("restarted", "rollout status deploy/web --timeout=90s", /successfully rolled out/),
    step("history", "rollout history deploy/web", /REVISION[^]*2/),
    step("undo", "rollout undo deploy/web", /rolled back/),
    step("annotate", "annotate deploy/web why=because", /annotated/),
    step("strategic patch", 'patch deploy/web -p {"spec":{"minReadySeconds":1}}', /patched/),
    step("merge patch", 'patch deploy/web --type=merge -p {"metadata":{"labels":{"x":"y"}}}', /patched/),
    step("JSON patch", 'patch deploy/web --type=json -p [{"op":"remove","path":"/metadata/labels/x"}]', /patched/),
    step("set env", "set env deploy/web A=b", /env updated/),
    step("dry run", "set image deploy/web web=other:1 --dry-run=server", /\(server dry run\)/),
    step("edit", "edit configmap/settings", /edited/, { env: { KUBE_EDITOR: "sed -i s/a:.b/a:\\ c/" } }),
    step("edited", "get configmap settings -o jsonpath={.data.a}", /^c$/),
    step("server-side apply", "apply --server-side --force-conflicts -f -", /serverside-applied/, {
      input: list(web()),
    }),
    step("another's fields", "apply --server-side --field-manager=other -f -", /conflict with "kubectl/, {
      input: list(web("other:1")),
      code: 1,
    }),
    step("diff", "diff -f -", /\+.*image: other:1/, { input: list(web("other:1")), code: 1 }),
    step("replace", "replace -f -", /replaced/, {
      input: list({ ...service, metadata: { name: "web", labels: { new: "yes" } } }),
    }),
    step("expose", "expose deploy/web --name=exposed --port=80 --target-port=8080", /exposed/),
    step("a field that does not exist", "apply -f -", /unknown field "metadata.lables"/, {
      input: list(web(undefined, { lables: {} })),
      code: 1,
    }),
    step("a value that is wrong", "scale deploy/web --replicas=-1", /replicas|COUNT/, { code: 1 }),
    step("explain", "explain deployment.spec.strategy", /rollingUpdate/),
    step("api-resources", "api-resources --api-group=apps", /controllerrevisions[^]*deployments/),
    step("define a kind", "apply -f -", created, { input: JSON.stringify(gem(group)) }),
    step("wait for the kind", `wait --for=condition=Established crd/gems.${group} --timeout=20s`, /condition met/),
    step("an object of it", "apply -f -", created, { input: ruby(3) }),
    step("its columns", `get gems.${group}`, /NAME +CARATS\s+ruby +3/),
    step("its rule", "apply -f -", /too heavy to be true/, { input: ruby(100), code: 1 }),
    step("explain the kind", `explain gems.spec.carats --api-version=${group}/v1`, /Weight of the gem/),
    step("run a job", "create job once --image=curlimages/curl -- true", created),
    step("the job ends", "wait --for=condition=complete job/once --timeout=60s", /condition met/),
    step("a cron job", "create cronjob often --image=curlimages/curl --schedule=@yearly -- true", created),
    step("a job of it", "create job twice --from=cronjob/often", created),
    step("may I", "auth can-i create pods", /^yes/),
    step("may it", "auth can-i list secrets --as=system:serviceaccount:NAMESPACE:robot", /^no/, { code: 1 }),
    step("who am I", "auth whoami", /system:masters/),
    step("all that it may", "auth can-i --list --as=system:serviceaccount:NAMESPACE:robot", /selfsubjectaccessreviews/),
    step("a token", "create token robot --duration=10m", /^[\w-]+\.[\w-]+\.[\w-]+/),
    step("a role", "create role reader --verb=get,list --resource=secrets", created),
    step("bound", "create rolebinding reader --role=reader --serviceaccount=NAMESPACE:robot", created),
    step("now it may", "auth can-i list secrets --as=system:serviceaccount:NAMESPACE:robot", /^yes/),
    step("a pod by hand", "run lone --image=curlimages/curl --restart=Never --command -- sleep 600", created),
    step("ready", "wait --for=condition=Ready pod/lone --timeout=30s", /condition met/),
    step("copy into it", "cp /etc/hostname lone:/tmp/copied", /[^]*/),
    step("copied", "exec lone -- cat /tmp/copied", /\S/),
    step("delete at once", "delete pod lone --force --grace-period=0", /force deleted/),
    step("no metrics", "top pods", /Metrics API not available/, { code: 1 }),
    step("nothing of that name", "get deploy none", /NotFound/, { code: 1 }),
    step("delete by label", "delete svc -l new=yes", /deleted/),
    step("delete the kind", `delete crd gems.${group}`, /deleted/),
    step("delete the deployment", "delete deploy web --timeout=60s", /deleted/),
    step("delete the namespace", `delete namespace ${namespace} --timeout=90s`, /deleted/),
  ].map((one) => ({ ...one, args: one.args.map((word) => word.replaceAll("NAMESPACE", namespace)) }));
}

/** Runs all steps; throws at the first that does not print what it must. */
export async function runMatrix(target: MatrixTarget): Promise<number> {
  const { kubectl, context, namespace } = target;
  const before = ["--context", context, "-n", namespace];
  const type = (args: readonly string[], input = "", env: NodeJS.ProcessEnv = {}) =>
    run(kubectl, [...before, ...args], { env: { ...target.env, ...env }, input, msMax: 120_000 });
  let count = 0;
  for (const one of steps(namespace)) {
    // Only a running pod can be debugged, and its name is made up by the cluster.
    const pod = one.args.includes("POD")
      ? (await type(words("get pods -l app=web -o name"))).stdout.split("\n")[0]
      : "";
    const args = one.args.map((word) => (word === "POD" ? (pod ?? "") : word));
    const { code, stdout, stderr } = await type(args, one.input, one.env);
    const isRight = code === (one.code ?? 0) && (one.prints.test(stdout) || one.prints.test(stderr));
    if (!isRight) {
      throw new Error(`"${one.name}": kubectl ${args.join(" ")} ended with ${code} and printed\n${stdout}${stderr}`);
    }
    count += 1;
    if (one.name === "logs") count += await forwarded(target);
  }
  return count;
}

const forwardMsMax = 20_000;

/** Port-forwarding, to a Service and to a Deployment. */
async function forwarded({ kubectl, env, context, namespace }: MatrixTarget): Promise<number> {
  for (const [what, port] of [
    ["svc/web", "8000"],
    ["deploy/web", "8080"],
  ] as const) {
    const args = ["--context", context, "-n", namespace, "port-forward", what, `:${port}`];
    const child = spawn(kubectl, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    try {
      const local = await new Promise<string>((resolve, reject) => {
        let said = "";
        const fail = () => reject(new Error(`kubectl port-forward ${what} said ${said}`));
        const timer = setTimeout(fail, forwardMsMax);
        child.once("exit", fail);
        const hear = (text: Buffer) => {
          said += text.toString();
          const found = /127\.0\.0\.1:(\d+)/.exec(said)?.[1];
          if (found === undefined) return;
          clearTimeout(timer);
          child.off("exit", fail);
          resolve(found);
        };
        child.stdout.on("data", hear);
        child.stderr.on("data", hear);
      });
      const { status } = await fetch(`http://127.0.0.1:${local}/get`);
      if (status !== 200) throw new Error(`Through port-forward ${what} came ${status}.`);
    } finally {
      child.kill();
    }
  }
  return 2;
}
