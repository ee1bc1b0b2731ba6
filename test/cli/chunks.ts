/** How many chunks of file contents a home holds. */
import { realSystem } from "../../src/base/system.js";
import { allRevisions } from "../../src/vault/revisions.js";
import { openVault } from "../../src/vault/vault.js";
import { MetadataCache, View } from "../../src/vault/view.js";

export async function chunkCount(home: string): Promise<number> {
  const vault = await openVault(home, realSystem, () => {});
  try {
    let count = 0;
    for (const { root } of allRevisions(vault.store.catalogue)) {
      const view = new View(root, new MetadataCache(vault.store.reader));
      const folders = [root];
      for (let folder = folders.pop(); folder; folder = folders.pop())
        for await (const entry of view.entries(folder)) {
          if (entry.kind === "folder") folders.push(entry);
          if (entry.content) for await (const _ of view.pieces(entry.content)) count++;
        }
    }
    return count;
  } finally {
    await vault.close();
  }
}
