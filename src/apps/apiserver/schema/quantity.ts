/** Amounts of resources as numbers, for comparing them: `500m`, `1`, `64Mi`, `1e3`. Pure. */

const factors: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** NaN for what is no quantity. */
export const quantityNumber = (quantity: unknown): number => {
  if (typeof quantity === "number") return quantity;
  const [, digits = "", suffix = ""] = /^([+-]?[0-9.]+(?:[eE][+-]?\d+)?)([a-zA-Z]*)$/.exec(String(quantity)) ?? [];
  return Number(digits === "" ? Number.NaN : digits) * (factors[suffix] ?? Number.NaN);
};
