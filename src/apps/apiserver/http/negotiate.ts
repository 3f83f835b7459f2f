/** In which form a client wants its answer: JSON or YAML; as objects, as a Table, or as metadata only (A27). Pure. */
import { notAcceptable } from "../api/errors.ts";

export interface Form {
  readonly encoding: "json" | "yaml";
  readonly as?: "Table" | "PartialObjectMetadata" | undefined;
}

const json: Form = { encoding: "json" };

/** The first form of the Accept header that this server has. Tables and metadata only of meta.k8s.io/v1 and v1beta1. */
export function negotiate(accept: string | undefined): Form {
  if (accept === undefined || accept.trim() === "") return json;
  for (const entry of accept.split(",")) {
    const [type = "", ...words] = entry.split(";").map((word) => word.trim());
    const parameters = new Map(words.map((word) => [word.split("=")[0] ?? "", word.slice(word.indexOf("=") + 1)]));
    const encoding = encodingOf(type);
    if (encoding === undefined) continue;
    const as = parameters.get("as");
    if (as === undefined) return { encoding };
    if (parameters.get("g") !== "meta.k8s.io") continue;
    if (as === "Table") return { encoding, as };
    if (as === "PartialObjectMetadata" || as === "PartialObjectMetadataList")
      return { encoding, as: "PartialObjectMetadata" };
  }
  throw notAcceptable(
    "only the following media types are accepted: application/json, application/yaml, application/json;as=Table;g=meta.k8s.io;v=v1",
  );
}

function encodingOf(type: string): Form["encoding"] | undefined {
  if (type === "application/json" || type === "*/*" || type === "application/*") return "json";
  return type === "application/yaml" || type === "text/yaml" ? "yaml" : undefined;
}
