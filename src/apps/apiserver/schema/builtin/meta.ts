/** Types shared by all groups: object metadata, label selectors, conditions and references. */
import {
  anyObject,
  bool,
  each,
  int64,
  keyedList,
  list,
  listMap,
  setOf,
  struct,
  text,
  textMap,
  texts,
  time,
} from "../dsl.ts";

const managedFieldsEntry = struct("ManagedFieldsEntry", "Who set which fields, and when.", {
  ...each(text, "apiVersion fieldsType manager operation subresource"),
  fieldsV1: anyObject,
  time,
});

const ownerReference = struct("OwnerReference", "An object that this one belongs to; when all owners go, so does it.", {
  ...each(text.required(), "apiVersion kind name uid"),
  ...each(bool, "blockOwnerDeletion controller"),
}).atomic();

export const objectMeta = struct("ObjectMeta", "Name, labels and other data that every object has.", {
  name: text.about("Unique within the namespace and kind; cannot be changed."),
  generateName: text.about("Prefix of a name that the server completes, when `name` is empty."),
  namespace: text.about("Namespace of the object; empty for cluster-scoped kinds."),
  labels: textMap.about("Keys and values by which objects are selected."),
  annotations: textMap.about("Keys and values for tools; not used to select objects."),
  finalizers: setOf(text)
    .about("Names of those that must agree before the object is removed.")
    .with({ "x-kubernetes-patch-strategy": "merge" }),
  ownerReferences: listMap("uid", ownerReference),
  managedFields: list(managedFieldsEntry),
  creationTimestamp: time,
  deletionTimestamp: time,
  deletionGracePeriodSeconds: int64,
  generation: int64.about("Counts the changes to the desired state."),
  ...each(text, "resourceVersion selfLink uid"),
});

export const labelSelector = struct("LabelSelector", "Selects objects by their labels; all requirements must hold.", {
  matchLabels: textMap.about("Labels the object must have."),
  matchExpressions: list(
    struct("LabelSelectorRequirement", "A key, an operator and values.", {
      key: text.required(),
      operator: text.required().oneOf("In", "NotIn", "Exists", "DoesNotExist"),
      values: texts,
    }),
  ),
}).atomic();

const condition = struct("Condition", "One aspect of the observed state.", {
  type: text.required(),
  status: text.required().oneOf("True", "False", "Unknown"),
  reason: text.required(),
  message: text.required(),
  lastTransitionTime: time.required(),
  observedGeneration: int64,
});

export const conditions = listMap("type", condition);
/** Of the kinds whose conditions strategic merge patch replaces as a whole. */
export const keyedConditions = keyedList("type", condition);

export const localObjectReference = struct("LocalObjectReference", "Names an object of the same namespace.", {
  name: text,
}).atomic();

export const objectReference = struct("ObjectReference", "Names an object.", {
  ...each(text, "apiVersion fieldPath kind name namespace resourceVersion uid"),
}).atomic();

export const typedLocalObjectReference = struct("TypedLocalObjectReference", "Names an object of a given kind.", {
  apiGroup: text,
  kind: text.required(),
  name: text.required(),
}).atomic();
