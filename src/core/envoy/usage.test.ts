/** Reads what Envoy's admin interface says of its clusters. */
import { expect, it } from "vitest";
import { usageOf } from "./usage.ts";

const cart = "s|240.240.0.1:80|spiffe://cluster.local/ns/shop/sa/web";
const six = "s|[fd00::1]:80|spiffe://cluster.local/ns/shop/sa/web";

it("adds up the endpoints of each cluster that was asked for", () => {
  const text = [
    `${cart}::added_via_api::true`,
    `${cart}::10.0.0.1:8080::cx_active::2`,
    `${cart}::10.0.0.1:8080::cx_connect_fail::9`,
    `${cart}::10.0.0.1:8080::cx_total::5`,
    `${cart}::envoy://p|uid/10.0.0.2:8080::cx_active::1`,
    `${cart}::envoy://p|uid/10.0.0.2:8080::cx_total::7`,
    `${six}::[fd00::9]:8080::cx_active::4`,
    `${six}::[fd00::9]:8080::cx_total::4`,
    "inbound::10.0.0.1:8080::cx_active::100",
  ].join("\n");
  expect([...usageOf(text, new Set([cart, six, "s|none"]))]).toEqual([
    [cart, { active: 3, total: 12 }],
    [six, { active: 4, total: 4 }],
  ]);
});
