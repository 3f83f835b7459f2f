/** The causes of a 422, in the words kubectl's users know. */
import type { Cause } from "../kind.ts";

const shown = (value: unknown): string => (value === undefined ? "null" : JSON.stringify(value));

export const required = (field: string, detail = ""): Cause => ({
  field,
  reason: "FieldValueRequired",
  message: detail === "" ? "Required value" : `Required value: ${detail}`,
});

export const invalid = (field: string, value: unknown, detail: string): Cause => ({
  field,
  reason: "FieldValueInvalid",
  message: `Invalid value: ${shown(value)}: ${detail}`,
});

export const wrongType = (field: string, value: unknown, detail: string): Cause => ({
  field,
  reason: "FieldValueTypeInvalid",
  message: `Invalid value: ${shown(value)}: ${detail}`,
});

export const unsupported = (field: string, value: unknown, supported: readonly unknown[]): Cause => ({
  field,
  reason: "FieldValueNotSupported",
  message: `Unsupported value: ${shown(value)}: supported values: ${supported.map(shown).join(", ")}`,
});

export const duplicate = (field: string, value: unknown): Cause => ({
  field,
  reason: "FieldValueDuplicate",
  message: `Duplicate value: ${shown(value)}`,
});

export const forbidden = (field: string, detail: string): Cause => ({
  field,
  reason: "FieldValueForbidden",
  message: `Forbidden: ${detail}`,
});

export const tooLong = (field: string, max: number): Cause => ({
  field,
  reason: "FieldValueTooLong",
  message: `Too long: may not be more than ${max} bytes`,
});

export const tooMany = (field: string, actual: number, max: number): Cause => ({
  field,
  reason: "FieldValueTooMany",
  message: `Too many: ${actual}: must have at most ${max} items`,
});

export const notFound = (field: string, value: unknown): Cause => ({
  field,
  reason: "FieldValueNotFound",
  message: `Not found: ${shown(value)}`,
});

/** What the API says when somebody changes a field that is fixed at creation. */
export const immutable = "field is immutable";
