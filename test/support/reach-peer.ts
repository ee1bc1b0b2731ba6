/**
 * One process on the real network: node reach-peer.js NAME BOOTSTRAP[,…] TOPIC-HEX [wait]
 *
 * It knocks with its name at everybody whom it meets, and says in lines of JSON what happens. With "wait" it joins only
 * when told. A line on stdin is an order:
 * "refresh", "leave", "join", "avoid NAME", "close".
 */
import { createInterface } from "node:readline";
import { realSystem } from "../../src/base/system.js";
import { Link } from "../../src/swarm/link.js";
import { openNetwork } from "../../src/swarm/reach.js";

const [name = "", bootstrap = "", topicHex = ""] = process.argv.slice(2);
const topic = Buffer.from(topicHex, "hex");
const say = (event: string, facts: object = {}): void => {
  process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`);
};
const links = new Map<string, Link>();
const network = await openNetwork({ bootstrap: bootstrap === "" ? [] : bootstrap.split(",") }, realSystem);
network.onConnection((connection) => {
  let who = "?";
  const link = Link.attach(
    connection,
    Buffer.from(name),
    {
      onKnock: (knock) => {
        who = knock.toString();
        links.set(who, link);
        knocked();
        link.openRoom();
      },
      onDoor: () => {},
      onRoomOpen: () => link.sendRoom(Buffer.from(`hello ${who}`)),
      onRoom: (message) => say("met", { who, says: message.toString() }),
      onDrain: () => {},
      onClose: (reason) => {
        if (links.get(who) === link) links.delete(who);
        say("lost", { who, reason });
      },
    },
    realSystem,
  );
  const knocked = link.closeAfter(10_000, "no knock");
});
const join = (): void => network.join(topic, { announce: true, lookup: true });
if (process.argv[5] !== "wait") join();
say("open");

createInterface({ input: process.stdin }).on("line", (order) => {
  const [word, of = ""] = order.split(" ");
  if (word === "refresh") network.refresh();
  if (word === "leave") network.leave(topic);
  if (word === "join") join();
  if (word === "avoid") {
    const link = links.get(of);
    if (link) network.avoid(link.connection.remoteKey);
    link?.close();
  }
  if (word !== "close") return;
  process.stdin.destroy();
  const began = performance.now();
  void network.close().then(() => say("closed", { ms: performance.now() - began }));
});
