/** Volumes of a pod. Sources that need a storage system are kept as they are written; the sandbox mounts none of them. */
import { anyObject, bool, each, type Field, int32, int64, list, quantity, struct, text, textMap } from "../dsl.ts";
import { labelSelector, localObjectReference, objectMeta, typedLocalObjectReference } from "./meta.ts";

const fileMode = int32.between(0, 0o777);

export const objectFieldSelector = struct("ObjectFieldSelector", "Selects a field of the pod.", {
  apiVersion: text.defaults("v1"),
  fieldPath: text.required(),
}).atomic();

export const resourceFieldSelector = struct("ResourceFieldSelector", "Selects a container's resource.", {
  containerName: text,
  divisor: quantity,
  resource: text.required(),
}).atomic();

const keyToPath = struct("KeyToPath", "Puts the value of a key into a file.", {
  key: text.required(),
  path: text.required(),
  mode: fileMode,
});

const downwardFile = struct("DownwardAPIVolumeFile", "A file with a field of the pod.", {
  path: text.required(),
  mode: fileMode,
  fieldRef: objectFieldSelector,
  resourceFieldRef: resourceFieldSelector,
});

const configMapProjection = struct("ConfigMapProjection", "Files from a ConfigMap.", {
  items: list(keyToPath),
  name: text,
  optional: bool,
});

const projection = struct("VolumeProjection", "One source of a projected volume.", {
  clusterTrustBundle: struct("ClusterTrustBundleProjection", "Trust anchors as a file.", {
    ...each(text, "name signerName"),
    labelSelector,
    optional: bool,
    path: text.required(),
  }),
  configMap: configMapProjection,
  downwardAPI: struct("DownwardAPIProjection", "Fields of the pod as files.", { items: list(downwardFile) }),
  podCertificate: struct("PodCertificateProjection", "A certificate for the pod as files.", {
    ...each(text, "certificateChainPath credentialBundlePath keyPath"),
    ...each(text.required(), "keyType signerName"),
    maxExpirationSeconds: int32,
  }),
  secret: struct("SecretProjection", "Files from a Secret.", { items: list(keyToPath), name: text, optional: bool }),
  serviceAccountToken: struct("ServiceAccountTokenProjection", "A token of the pod's service account as a file.", {
    audience: text.about("Who the token is for; the API server when empty."),
    expirationSeconds: int64.defaults(3600).atLeast(600),
    path: text.required(),
  }),
});

export const volumeClaimSpec = struct("PersistentVolumeClaimSpec", "What storage is asked for.", {
  accessModes: list(text),
  dataSource: typedLocalObjectReference,
  dataSourceRef: struct("TypedObjectReference", "Names an object of a given kind and namespace.", {
    ...each(text, "apiGroup namespace"),
    ...each(text.required(), "kind name"),
  }),
  resources: anyObject,
  selector: labelSelector,
  ...each(text, "storageClassName volumeAttributesClassName volumeName"),
  volumeMode: text.defaults("Filesystem"),
});

const claimTemplate = struct("PersistentVolumeClaimTemplate", "A claim made for the pod.", {
  metadata: objectMeta,
  spec: volumeClaimSpec.required(),
});

const storageSystems =
  "awsElasticBlockStore azureDisk azureFile cephfs cinder fc flexVolume flocker gcePersistentDisk glusterfs iscsi " +
  "photonPersistentDisk portworxVolume quobyte rbd scaleIO storageos vsphereVolume";

const sources: Readonly<Record<string, Field>> = {
  configMap: struct("ConfigMapVolumeSource", "Files from a ConfigMap.", {
    defaultMode: fileMode.defaults(0o644),
    items: list(keyToPath),
    name: text,
    optional: bool,
  }),
  csi: struct("CSIVolumeSource", "A volume by a storage driver.", {
    driver: text.required(),
    fsType: text,
    nodePublishSecretRef: localObjectReference,
    readOnly: bool,
    volumeAttributes: textMap,
  }),
  downwardAPI: struct("DownwardAPIVolumeSource", "Fields of the pod as files.", {
    defaultMode: fileMode.defaults(0o644),
    items: list(downwardFile),
  }),
  emptyDir: struct("EmptyDirVolumeSource", "A directory that lives as long as the pod.", {
    medium: text,
    sizeLimit: quantity,
  }),
  ephemeral: struct("EphemeralVolumeSource", "A claim that lives as long as the pod.", {
    volumeClaimTemplate: claimTemplate,
  }),
  gitRepo: struct("GitRepoVolumeSource", "A git repository.", {
    repository: text.required(),
    ...each(text, "directory revision"),
  }),
  hostPath: struct("HostPathVolumeSource", "A directory or file of the node.", {
    path: text.required(),
    type: text.defaults(""),
  }),
  image: struct("ImageVolumeSource", "The content of an image.", each(text, "pullPolicy reference")),
  nfs: struct("NFSVolumeSource", "A directory of an NFS server.", {
    ...each(text.required(), "path server"),
    readOnly: bool,
  }),
  persistentVolumeClaim: struct("PersistentVolumeClaimVolumeSource", "A claim of the same namespace.", {
    claimName: text.required(),
    readOnly: bool,
  }),
  projected: struct("ProjectedVolumeSource", "Several sources in one directory.", {
    defaultMode: fileMode.defaults(0o644),
    sources: list(projection),
  }),
  secret: struct("SecretVolumeSource", "Files from a Secret.", {
    defaultMode: fileMode.defaults(0o644),
    items: list(keyToPath),
    optional: bool,
    secretName: text,
  }),
  ...each(anyObject, storageSystems),
};

/** Names of the fields that say where a volume comes from. */
export const volumeSources = Object.keys(sources);

export const volume = struct("Volume", "A directory that containers of the pod can mount.", {
  name: text.required().about("Name by which containers mount it."),
  ...sources,
});

export const volumeMount = struct("VolumeMount", "Where a container sees a volume.", {
  mountPath: text.required().about("Path in the container."),
  name: text.required().about("Name of the volume."),
  mountPropagation: text,
  readOnly: bool,
  recursiveReadOnly: text,
  ...each(text, "subPath subPathExpr"),
});
