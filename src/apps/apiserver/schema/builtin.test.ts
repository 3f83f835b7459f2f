import { describe, expect, test } from "vitest";
import type { AnyObject } from "../../../core/api/kube.ts";
import type { Kind } from "../kind.ts";
import { builtinKinds } from "./builtin.ts";

const kinds = builtinKinds();

const kindNamed = (name: string): Kind => {
  const kind = kinds.find((one) => one.type.kind === name);
  if (kind === undefined) throw new Error(`no kind ${name}`);
  return kind;
};

const objectOf = (kindName: string, fields: Record<string, unknown>, name = "demo"): AnyObject => {
  const { group, version, namespaced } = kindNamed(kindName).type;
  const metadata = { name, ...(namespaced ? { namespace: "default" } : {}) };
  return structuredClone({
    apiVersion: group === "" ? version : `${group}/${version}`,
    kind: kindName,
    metadata,
    ...fields,
  });
};

const podSpec = {
  containers: [
    {
      name: "app",
      image: "httpbin",
      ports: [{ containerPort: 8000 }],
      readinessProbe: { httpGet: { port: 8000 } },
      resources: { limits: { cpu: "1", memory: "64Mi" } },
      env: [{ name: "NODE", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } }],
    },
  ],
  volumes: [{ name: "config", configMap: { name: "config" } }, { name: "scratch" }],
};

const deploymentSpec = {
  selector: { matchLabels: { app: "demo" } },
  template: { metadata: { labels: { app: "demo" } }, spec: podSpec },
};

const jobSpec = { template: { spec: { ...podSpec, restartPolicy: "Never" } } };

const samples: readonly AnyObject[] = [
  objectOf("Pod", { spec: podSpec }),
  objectOf("Deployment", { spec: deploymentSpec }),
  objectOf("DaemonSet", { spec: deploymentSpec }),
  objectOf("StatefulSet", { spec: { ...deploymentSpec, serviceName: "demo" } }),
  objectOf("ReplicaSet", { spec: deploymentSpec }),
  objectOf("Job", { spec: jobSpec }),
  objectOf("CronJob", { spec: { schedule: "* * * * *", jobTemplate: { spec: jobSpec } } }),
  objectOf("Service", { spec: { type: "LoadBalancer", selector: { app: "demo" }, ports: [{ port: 80 }] } }),
  objectOf("EndpointSlice", { addressType: "IPv4", endpoints: [{ addresses: ["10.0.0.1"] }], ports: [{ port: 80 }] }),
  objectOf("ClusterRoleBinding", {
    roleRef: { kind: "ClusterRole", name: "a" },
    subjects: [{ kind: "User", name: "u" }],
  }),
  objectOf("NetworkPolicy", { spec: {} }),
];

const causesOf = (object: AnyObject, old?: AnyObject): readonly string[] => {
  const kind = kindNamed(object.kind);
  kind.fillDefaults(object, old);
  return kind.validate(object, old).map(({ field, message }) => `${field}: ${message}`);
};

describe("defaults", () => {
  test.each(samples.map((sample) => [sample.kind, sample] as const))(
    "%s: filling twice changes nothing, and the result is valid",
    (_name, sample) => {
      const kind = kindNamed(sample.kind);
      const once = structuredClone(sample);
      expect(kind.prune(once)).toEqual([]);
      kind.fillDefaults(once, undefined);
      const twice = structuredClone(once);
      kind.fillDefaults(twice, once);
      expect(twice).toEqual(once);
      expect(kind.prune(twice)).toEqual([]);
      expect(kind.validate(twice, once)).toEqual([]);
    },
  );

  test("a container gets what a kubelet relies on", () => {
    const pod = objectOf("Pod", { spec: podSpec });
    kindNamed("Pod").fillDefaults(pod, undefined);
    expect(pod["spec"]).toMatchObject({
      restartPolicy: "Always",
      terminationGracePeriodSeconds: 30,
      dnsPolicy: "ClusterFirst",
      containers: [
        {
          imagePullPolicy: "Always",
          ports: [{ containerPort: 8000, protocol: "TCP" }],
          readinessProbe: { periodSeconds: 10, failureThreshold: 3, httpGet: { path: "/", scheme: "HTTP" } },
          resources: { requests: { cpu: "1", memory: "64Mi" } },
        },
      ],
      volumes: [{ configMap: { defaultMode: 420 } }, { name: "scratch", emptyDir: {} }],
    });
  });

  test.each([
    ["httpbin", "Always"],
    ["httpbin:latest", "Always"],
    ["registry:5000/httpbin", "Always"],
    ["registry:5000/httpbin:v1", "IfNotPresent"],
    ["httpbin@sha256:00", "IfNotPresent"],
  ])("image %s is pulled %s", (image, policy) => {
    const pod = objectOf("Pod", { spec: { containers: [{ name: "app", image }] } });
    kindNamed("Pod").fillDefaults(pod, undefined);
    expect(pod["spec"]).toMatchObject({ containers: [{ imagePullPolicy: policy }] });
  });

  test("a Recreate deployment gets no rolling update", () => {
    const deployment = objectOf("Deployment", { spec: { ...deploymentSpec, strategy: { type: "Recreate" } } });
    kindNamed("Deployment").fillDefaults(deployment, undefined);
    expect(deployment["spec"]).toHaveProperty("strategy", { type: "Recreate" });
  });
});

describe("pruning", () => {
  test("unknown fields go and are named by their path; nulls go silently", () => {
    const pod = objectOf("Pod", { spec: { ...podSpec, colour: "red", nodeName: null } });
    Object.assign(pod.metadata, { creationTimestamp: null });
    const spec = pod["spec"] as { containers: Record<string, unknown>[] };
    Object.assign(spec.containers[0] ?? {}, { imag: "typo" });
    expect(kindNamed("Pod").prune(pod)).toEqual(["spec.containers[0].imag", "spec.colour"]);
    expect(JSON.stringify(pod)).not.toMatch(/colour|imag"|null/);
  });

  test("labels and data may have any key", () => {
    const map = objectOf("ConfigMap", { data: { constructor: "a", "x.y": "b" } });
    Object.assign(map.metadata, { labels: { toString: "c" } });
    expect(kindNamed("ConfigMap").prune(map)).toEqual([]);
    expect(map["data"]).toEqual({ constructor: "a", "x.y": "b" });
  });
});

describe("validation speaks as Kubernetes does", () => {
  test("a deployment without containers and with another template's labels", () => {
    const template = { metadata: { labels: { app: "other" } }, spec: { containers: [] } };
    const causes = causesOf(objectOf("Deployment", { spec: { selector: { matchLabels: { app: "demo" } }, template } }));
    expect(causes).toContain("spec.template.spec.containers: Required value");
    expect(causes).toContain(
      'spec.template.metadata.labels: Invalid value: {"app":"other"}: `selector` does not match template `labels`',
    );
  });

  test("without a selector a deployment has no labels that match it", () => {
    const { template } = deploymentSpec;
    expect(causesOf(objectOf("Deployment", { spec: { template } }))).toEqual([
      "spec.selector: Required value",
      expect.stringMatching(/^spec.template.metadata.labels: .*does not match template `labels`$/),
    ]);
  });

  test("the selector of a deployment cannot change", () => {
    const old = objectOf("Deployment", { spec: deploymentSpec });
    kindNamed("Deployment").fillDefaults(old, undefined);
    const labels = { app: "demo", tier: "a" };
    const template = { ...deploymentSpec.template, metadata: { labels } };
    const changed = objectOf("Deployment", { spec: { selector: { matchLabels: labels }, template } });
    expect(causesOf(changed, old)).toEqual([
      'spec.selector: Invalid value: {"matchLabels":{"app":"demo","tier":"a"}}: field is immutable',
    ]);
  });

  test("of a running pod the image may change, the command not", () => {
    const old = objectOf("Pod", { spec: podSpec });
    kindNamed("Pod").fillDefaults(old, undefined);
    const withField = (field: Record<string, unknown>): AnyObject =>
      objectOf("Pod", { spec: { ...podSpec, containers: [{ ...podSpec.containers[0], ...field }] } });
    const imageOnly = withField({ image: "httpbin:2", imagePullPolicy: "Always" });
    expect(causesOf(imageOnly, old)).toEqual([]);
    expect(causesOf(withField({ command: ["sh"] }), old)[0]).toMatch(/^spec: Forbidden: pod updates may not change/);
  });

  test("names, ports and enums", () => {
    const service = objectOf(
      "Service",
      { spec: { type: "Elsewhere", ports: [{ port: 80 }, { port: 70_000 }] } },
      "1st",
    );
    const causes = causesOf(service);
    expect(causes[0]).toMatch(/^metadata.name: Invalid value: "1st": a DNS-1035 label must consist of/);
    expect(causes).toContain(
      'spec.type: Unsupported value: "Elsewhere": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
    );
    expect(causes).toContain("spec.ports[1].port: Invalid value: 70000: must be between 1 and 65535, inclusive");
    expect(causes).toContain("spec.ports[0].name: Required value");
  });

  test("a type that does not fit", () => {
    const deployment = objectOf("Deployment", { spec: { ...deploymentSpec, replicas: "three" } });
    expect(causesOf(deployment)).toEqual(['spec.replicas: Invalid value: "string": must be of type integer: "string"']);
  });

  test("a mount without a volume, and a container twice", () => {
    const container = { name: "app", image: "a", volumeMounts: [{ name: "gone", mountPath: "/x" }] };
    const causes = causesOf(objectOf("Pod", { spec: { containers: [container, { name: "app", image: "b" }] } }));
    expect(causes).toContain('spec.containers[0].volumeMounts[0].name: Not found: "gone"');
    expect(causes).toContain('spec.containers[1].name: Duplicate value: "app"');
  });

  test("an immutable ConfigMap stays as it is", () => {
    const old = objectOf("ConfigMap", { immutable: true, data: { a: "1" } });
    expect(causesOf(objectOf("ConfigMap", { immutable: true, data: { a: "2" } }), old)).toEqual([
      "data: Forbidden: field is immutable when `immutable` is set",
    ]);
  });
});
