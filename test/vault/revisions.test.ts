/** Revisions of several devices in one order, and which of them a device's next one goes on from. */
import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { toHex } from "../../src/base/bytes.js";
import { realSystem } from "../../src/base/system.js";
import { derive } from "../../src/format/hash.js";
import { allRevisions, byAge, findRevision, newestOf } from "../../src/vault/revisions.js";
import { openVault, type Vault } from "../../src/vault/vault.js";
import { commitRevision, file, folder } from "../support/recall-revision.js";
import { firstDevice, furtherDevice, giveAll } from "../support/store-devices.js";
import { workFolder } from "../support/store-home.js";

const where = workFolder();
const docs = derive("test fileset", Buffer.from("docs")).subarray(0, 16);
const open = (path: string): Promise<Vault> => openVault(path, realSystem, () => {});
const save = async (vault: Vault, n: number, complete = true): Promise<string> =>
  toHex((await commitRevision(vault, folder({ f: file(`${n}`) }), { complete })).id);

test("revisions of all devices stand in the order of their times, on every machine", async () => {
  const one = firstDevice(join(where, "one"));
  const [a, b] = [await open(one.path), await open(furtherDevice(one, join(where, "two")).path)];
  const ids: string[] = [];
  for (let i = 0; i < 6; i++) ids.push(await save(i % 3 === 0 ? b : a, i, i !== 5));
  giveAll(b.store, a.store);
  giveAll(a.store, b.store);
  for (const { store } of [a, b]) {
    const all = [...allRevisions(store.catalogue)];
    assert.deepEqual(
      all.map(({ id }) => toHex(id)),
      ids,
    );
    assert.deepEqual([...all].reverse().sort(byAge), all);
    assert.equal(
      toHex(findRevision(store.catalogue, "host/docs@latest".replace("host", all[4]?.host as string)).id),
      ids[4],
    );
    await store.rebuild();
    assert.deepEqual(
      [...store.catalogue.revisions()].map(({ id }) => toHex(id)),
      ids,
    );
  }
  for (const [vault, newest] of [
    [a, 5],
    [b, 3],
  ] as const)
    assert.equal(toHex(newestOf(vault.store.catalogue, docs, vault.device, false)?.id as Buffer), ids[newest]);
  assert.equal(toHex(newestOf(a.store.catalogue, docs, a.device, true)?.id as Buffer), ids[4]);
  for (const vault of [a, b]) await vault.close();
});

test("a copy of a home and the home itself each go on from their own revisions", async () => {
  const home = firstDevice(join(where, "first"));
  const before = await open(home.path);
  const common = await save(before, 1);
  await before.close();
  const path = join(where, "copy");
  cpSync(home.path, path, { recursive: true, preserveTimestamps: true });
  const [first, copy] = [await open(home.path), await open(path)];
  const newest = (vault: Vault): string =>
    toHex(newestOf(vault.store.catalogue, docs, vault.device, false)?.id as Buffer);
  assert.deepEqual([newest(first), newest(copy)], [common, common]);
  const mine = await save(first, 2);
  const theirs = await save(copy, 3);
  giveAll(copy.store, first.store);
  giveAll(first.store, copy.store);
  assert.deepEqual([newest(first), newest(copy)], [mine, theirs]);
  assert.deepEqual(
    [...allRevisions(first.store.catalogue)].map(({ id }) => toHex(id)),
    [common, mine, theirs],
  );
  for (const vault of [first, copy]) await vault.close();
});
