/**
 * Processes on a real private DHT on loopback: bootstrap nodes, and peers that say whom they meet.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes, randomInt } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";

const script = (name: string): string => fileURLToPath(new URL(`../support/${name}.js`, import.meta.url));

export interface PeerEvent {
  readonly event: "open" | "met" | "lost" | "closed";
  readonly who?: string;
  readonly reason?: string;
  readonly ms?: number;
}

export interface Peer {
  readonly name: string;
  readonly process: ChildProcess;
  readonly events: PeerEvent[];
  /** all whom it has met so far and not lost since, by name */
  met(): string[];
  tell(order: string): void;
  /** Resolves when it holds; fails after `ms`. */
  until(holds: (peer: Peer) => boolean, ms: number, what: string): Promise<void>;
  /** Tell it to close, and give the times in ms that closing and ending took. */
  close(): Promise<{ closed: number; ended: number }>;
}

/** Three bootstrap nodes in a process of their own; their addresses, joined by commas. */
export async function bootstrapNodes(t: TestContext): Promise<{ addresses: string; process: ChildProcess }> {
  for (let tries = 0; ; tries++) {
    const child = spawn(process.execPath, [script("reach-bootstrap"), "127.0.0.1", String(randomInt(20_000, 32_000))], {
      stdio: ["ignore", "pipe", tries < 5 ? "ignore" : "inherit"],
    });
    t.after(() => void child.kill("SIGKILL"));
    const lines = createInterface({ input: child.stdout });
    const line = await new Promise<string | undefined>((resolve) => {
      lines.once("line", resolve);
      child.once("exit", () => resolve(undefined));
    });
    if (line) return { addresses: line.split(" ")[1] ?? "", process: child };
    if (tries === 5) throw new Error("no three free ports");
  }
}

export function newTopic(): string {
  return randomBytes(32).toString("hex");
}

/** @param wait it joins only when told */
export function startPeer(t: TestContext, name: string, addresses: string, topic: string, wait = false): Peer {
  const words = [script("reach-peer"), name, addresses, topic, ...(wait ? ["wait"] : [])];
  const child = spawn(process.execPath, words, { stdio: ["pipe", "pipe", "inherit"] });
  t.after(() => void child.kill("SIGKILL"));
  child.stdin.on("error", () => {});
  const events: PeerEvent[] = [];
  const watchers = new Set<() => void>();
  createInterface({ input: child.stdout }).on("line", (line) => {
    events.push(JSON.parse(line) as PeerEvent);
    for (const watch of watchers) watch();
  });
  const peer: Peer = {
    name,
    process: child,
    events,
    met() {
      const met = new Set<string>();
      for (const { event, who = "" } of events)
        if (event === "met") met.add(who);
        else if (event === "lost") met.delete(who);
      return [...met].sort();
    },
    tell: (order) => void child.stdin.write(`${order}\n`),
    until: (holds, ms, what) =>
      new Promise((resolve, reject) => {
        const watch = (): void => {
          if (!holds(peer)) return;
          watchers.delete(watch);
          clearTimeout(timer);
          resolve();
        };
        const timer = setTimeout(() => {
          watchers.delete(watch);
          reject(new Error(`${name}: not within ${ms} ms: ${what}; events: ${JSON.stringify(events)}`));
        }, ms);
        watchers.add(watch);
        watch();
      }),
    async close() {
      const began = performance.now();
      const exit = once(child, "exit");
      peer.tell("close");
      await peer.until(() => events.some(({ event }) => event === "closed"), 10_000, "closed");
      await exit;
      return {
        closed: events.find(({ event }) => event === "closed")?.ms ?? Infinity,
        ended: performance.now() - began,
      };
    },
  };
  return peer;
}

/** Resolves when each of them has met all the others. */
export async function allMeet(peers: readonly Peer[], ms: number): Promise<void> {
  await Promise.all(
    peers.map((peer) => {
      const others = peers.filter((one) => one !== peer).map(({ name }) => name);
      return peer.until(() => others.every((name) => peer.met().includes(name)), ms, `meets ${others.join(", ")}`);
    }),
  );
}
