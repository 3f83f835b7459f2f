/** Names are followed as their time to live says, and outlive their resolvers. */
import { expect, it } from "vitest";
import { virtualHost } from "../host/virtual-host.ts";
import { type Found, WatchedNames } from "./watched-names.ts";

const gateway = "gw.example.com";

it("follows a name that moves, keeps what it knows while nobody answers, and forgets what nobody wants", async () => {
  const host = virtualHost();
  const answers = new Map<string, readonly Found[]>();
  const asked: string[] = [];
  const changes: string[] = [];
  const names = new WatchedNames(
    host,
    (name) => {
      asked.push(name);
      const found = answers.get(name);
      return found === undefined ? Promise.reject(new Error("ENOTFOUND")) : Promise.resolve(found);
    },
    (name) => changes.push(`${name} ${names.addressesByName.get(name)?.join(" ")}`),
  );
  names.want(new Set([gateway]));
  await host.advance(5_000);
  expect(asked.length).toBe(3);
  expect(names.addressesByName.has(gateway)).toBe(false);
  answers.set(gateway, [
    { address: "10.0.0.2", ttl: 5 },
    { address: "10.0.0.1", ttl: 5 },
  ]);
  await host.advance(4_000);
  expect(changes).toEqual([`${gateway} 10.0.0.1 10.0.0.2`]);
  // Another order is no change; another address is.
  answers.set(gateway, [
    { address: "10.0.0.1", ttl: 3600 },
    { address: "10.0.0.2", ttl: 3600 },
  ]);
  await host.advance(6_000);
  answers.set(gateway, [{ address: "10.0.0.9", ttl: 0 }]);
  await host.advance(31_000);
  expect(changes).toEqual([`${gateway} 10.0.0.1 10.0.0.2`, `${gateway} 10.0.0.9`]);
  answers.delete(gateway);
  await host.advance(120_000);
  expect(names.addressesByName.get(gateway)).toEqual(["10.0.0.9"]);
  names.want(new Set());
  const before = asked.length;
  await host.advance(120_000);
  expect(names.addressesByName.size).toBe(0);
  expect(asked.length).toBe(before);
});

it("lets an answer that comes after the name was let go change nothing", async () => {
  const host = virtualHost();
  let answer: (found: readonly Found[]) => void = () => undefined;
  const names = new WatchedNames(
    host,
    () => new Promise((resolve) => (answer = resolve)),
    () => expect.unreachable(),
  );
  names.want(new Set([gateway]));
  names.close();
  answer([{ address: "10.0.0.1", ttl: 1 }]);
  await host.advance(60_000);
  expect(names.addressesByName.size).toBe(0);
});
