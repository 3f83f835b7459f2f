/** Containers of a pod: probes, environment, resources and security settings. */
import {
  bool,
  each,
  type Fields,
  fieldsOf,
  int32,
  int64,
  intOrString,
  keyedList,
  list,
  listMap,
  portNumber,
  quantities,
  setOf,
  struct,
  text,
  texts,
} from "../dsl.ts";
import { objectFieldSelector, resourceFieldSelector, volumeMount } from "./pod-volumes.ts";

const keySelector = (name: string, source: string) =>
  struct(name, `A key of a ${source}.`, { key: text.required(), name: text, optional: bool }).atomic();

const envVar = struct("EnvVar", "A variable of the container's environment.", {
  name: text.required(),
  value: text.about("Value; $(NAME) stands for an earlier variable."),
  valueFrom: struct("EnvVarSource", "Where the value comes from.", {
    configMapKeyRef: keySelector("ConfigMapKeySelector", "ConfigMap"),
    fieldRef: objectFieldSelector,
    fileKeyRef: struct("FileKeySelector", "A key of a file in a volume.", {
      ...each(text.required(), "key path volumeName"),
      optional: bool.defaults(false),
    }).atomic(),
    resourceFieldRef: resourceFieldSelector,
    secretKeyRef: keySelector("SecretKeySelector", "Secret"),
  }),
});

const envFrom = struct("EnvFromSource", "All keys of a ConfigMap or Secret as variables.", {
  configMapRef: struct("ConfigMapEnvSource", "A ConfigMap.", { name: text, optional: bool }),
  prefix: text,
  secretRef: struct("SecretEnvSource", "A Secret.", { name: text, optional: bool }),
});

const handlers: Fields = {
  exec: struct("ExecAction", "Runs a command in the container.", { command: texts }),
  httpGet: struct("HTTPGetAction", "Makes an HTTP GET request.", {
    host: text,
    httpHeaders: list(
      struct("HTTPHeader", "A header of the request.", { name: text.required(), value: text.required() }),
    ),
    path: text.defaults("/"),
    port: intOrString.required(),
    scheme: text.defaults("HTTP").oneOf("HTTP", "HTTPS"),
  }),
  tcpSocket: struct("TCPSocketAction", "Opens a TCP connection.", { host: text, port: intOrString.required() }),
};

const probe = struct("Probe", "A check that the node makes on the container again and again.", {
  ...handlers,
  grpc: struct("GRPCAction", "Calls the gRPC health service.", {
    port: portNumber.required(),
    service: text.defaults(""),
  }),
  initialDelaySeconds: int32.atLeast(0).about("Wait before the first check."),
  periodSeconds: int32.defaults(10).atLeast(1),
  timeoutSeconds: int32.defaults(1).atLeast(1),
  successThreshold: int32.defaults(1).atLeast(1),
  failureThreshold: int32.defaults(3).atLeast(1),
  terminationGracePeriodSeconds: int64.atLeast(1),
});

const lifecycleHandler = struct("LifecycleHandler", "What to do at a moment of the container's life.", {
  ...handlers,
  sleep: struct("SleepAction", "Waits.", { seconds: int64.required() }),
});

const containerPort = struct("ContainerPort", "A port on which the container listens.", {
  containerPort: int32.required(),
  hostIP: text,
  hostPort: int32.between(0, 65_535),
  name: text.about("Name to which services can refer."),
  protocol: text.defaults("TCP").oneOf("SCTP", "TCP", "UDP"),
});

export const resourceRequirements = struct("ResourceRequirements", "Resources that are asked for.", {
  claims: keyedList("name", struct("ResourceClaim", "A claim of the pod.", { name: text.required(), request: text })),
  limits: quantities,
  requests: quantities,
});

const profile = (name: string) =>
  struct(name, "A security profile.", { localhostProfile: text, type: text.required() });

export const securityFields: Fields = {
  appArmorProfile: profile("AppArmorProfile"),
  runAsGroup: int64,
  runAsNonRoot: bool,
  runAsUser: int64,
  seLinuxOptions: struct("SELinuxOptions", "SELinux labels.", each(text, "level role type user")),
  seccompProfile: profile("SeccompProfile"),
  windowsOptions: struct("WindowsSecurityContextOptions", "Settings for Windows.", {
    ...each(text, "gmsaCredentialSpec gmsaCredentialSpecName runAsUserName"),
    hostProcess: bool,
  }),
};

const securityContext = struct("SecurityContext", "Rights of the container's processes.", {
  ...securityFields,
  ...each(bool, "allowPrivilegeEscalation privileged readOnlyRootFilesystem"),
  capabilities: struct("Capabilities", "Capabilities to add and drop.", { add: texts, drop: texts }),
  procMount: text,
});

const restartRule = struct("ContainerRestartRule", "When to restart the container.", {
  action: text.required(),
  exitCodes: struct("ContainerRestartRuleOnExitCodes", "By exit code.", {
    operator: text.required(),
    values: setOf(int32),
  }),
});

export const container = struct("Container", "A program that runs in the pod.", {
  name: text.required().about("Name, unique in the pod."),
  image: text.about("Image to run."),
  command: texts.about("Program and arguments instead of the image's entrypoint."),
  args: texts.about("Arguments to the entrypoint."),
  workingDir: text,
  ports: listMap("containerPort protocol", containerPort).about("Ports on which the container listens."),
  env: listMap("name", envVar).about("Environment variables."),
  envFrom: list(envFrom),
  resources: resourceRequirements.defaults({}),
  resizePolicy: list(
    struct("ContainerResizePolicy", "How a resource is resized.", each(text.required(), "resourceName restartPolicy")),
  ),
  restartPolicy: text.about("`Always` makes an init container a sidecar."),
  restartPolicyRules: list(restartRule),
  volumeMounts: listMap("mountPath", volumeMount).about("Volumes that the container sees."),
  volumeDevices: listMap(
    "devicePath",
    struct("VolumeDevice", "A block device.", each(text.required(), "devicePath name")),
  ),
  livenessProbe: probe.about("Restarts the container when it fails."),
  readinessProbe: probe.about("Takes the pod out of its services while it fails."),
  startupProbe: probe.about("Holds the other probes back until it succeeds."),
  lifecycle: struct("Lifecycle", "What to do after the start and before the stop.", {
    postStart: lifecycleHandler,
    preStop: lifecycleHandler,
    stopSignal: text,
  }),
  terminationMessagePath: text.defaults("/dev/termination-log"),
  terminationMessagePolicy: text.defaults("File").oneOf("File", "FallbackToLogsOnError"),
  imagePullPolicy: text.oneOf("Always", "IfNotPresent", "Never"),
  securityContext,
  ...each(bool, "stdin stdinOnce tty"),
});

export const ephemeralContainer = struct("EphemeralContainer", "A container added to a running pod for debugging.", {
  ...fieldsOf(container),
  targetContainerName: text,
});
