/** Cases in which this server answers otherwise than the one that was recorded, and why. What is not here is equal. */

const goDiff = "the same refusal; no listing of the fields follows it";
const cel = "the same refusal; the words and the little picture of CEL's own compiler are not there";
const generation = "the annotation deprecated.daemonset.template.generation is not kept";
const nodeInfo = "no taint not-ready by admission, and nodeInfo is empty instead of full of empty texts";

export const differences: Readonly<Record<string, string>> = {
  "Pod: another image": goDiff,
  "Pod: another command": goDiff,
  "Pod: another service account": goDiff,
  "DaemonSet: the least": generation,
  "DaemonSet: on delete": generation,
  "Job: another image": "the same refusal; the value is shown as JSON, not as the fields of a Go struct",
  "CronJob: a schedule that is none": "the same refusal in other words",
  "Service: a node port out of range": "refused in a dry run too, as the write itself is on both servers",
  "EndpointSlice: the least": "empty lists stay empty lists; the recorded server made them null",
  "Node: the least": nodeInfo,
  "Node: a taint": nodeInfo,
  "CustomResourceDefinition: no version stored": "the same refusal with one cause instead of two",
  "CustomResourceDefinition: a pattern that is none": "the same refusal in the words of JavaScript's reader",
  "CustomResourceDefinition: a rule that does not parse": cel,
  "CustomResourceDefinition: a rule of an unknown function": cel,
  "CustomResourceDefinition: a rule about a field that is not there": cel,
  "CustomResourceDefinition: a conversion webhook": "refused because there are no webhooks here, whatever it says",
};
