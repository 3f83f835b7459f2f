/** What the control plane keeps of a pod: most of a pod is of no use to the mesh, and there are many. */
import type { Container, Pod } from "../../core/api/pod.ts";

const keptOfContainer = ({ name, image, ports, restartPolicy }: Container): Container => ({
  name,
  image,
  ...(ports && { ports }),
  ...(restartPolicy && { restartPolicy }),
});

export function keptOfPod(pod: Pod): Pod {
  const { name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp } = pod.metadata;
  const { labels, annotations, ownerReferences } = pod.metadata;
  const { nodeName, serviceAccountName, hostNetwork, containers, initContainers } = pod.spec;
  const { phase, podIP, podIPs, conditions } = pod.status ?? {};
  return {
    apiVersion: pod.apiVersion,
    kind: pod.kind,
    metadata: {
      name,
      ...(namespace !== undefined && { namespace }),
      ...(uid !== undefined && { uid }),
      ...(resourceVersion !== undefined && { resourceVersion }),
      ...(creationTimestamp !== undefined && { creationTimestamp }),
      ...(deletionTimestamp !== undefined && { deletionTimestamp }),
      ...(labels && { labels }),
      ...(annotations && { annotations }),
      ...(ownerReferences && { ownerReferences }),
    },
    spec: {
      containers: containers.map(keptOfContainer),
      ...(initContainers && { initContainers: initContainers.map(keptOfContainer) }),
      ...(nodeName !== undefined && { nodeName }),
      ...(serviceAccountName !== undefined && { serviceAccountName }),
      ...(hostNetwork !== undefined && { hostNetwork }),
    },
    status: {
      ...(phase && { phase }),
      ...(podIP !== undefined && { podIP }),
      ...(podIPs && { podIPs }),
      ...(conditions && { conditions: conditions.filter(({ type }) => type === "Ready") }),
    },
  };
}
