// Directly, and through a relay that merges the client's writes, as proxies and networks do: every
// subscription must be answered.

import assert from "node:assert/strict";
import { createServer, connect } from "node:net";
import { SubscriptionClient } from "subscriptions-transport-ws";
import { WebSocket } from "ws";
import { approval, SUBMIT, suite } from "./kit/journey.mjs";
import { KEY, Server } from "./kit/server.mjs";

/** Time for which the relay gathers. */
const GATHERS_MS = 20;
/** Connections of each kind. */
const TIMES = 20;
const WITHIN_MS = 60_000;

/** Passes on what the client writes in `GATHERS_MS` as one piece; gives its port. */
const relay = (port) =>
  new Promise((ready) => {
    const server = createServer((client) => {
      const upstream = connect(port, "127.0.0.1");
      let gathered = [];
      client.on("data", (piece) => {
        if (gathered.push(piece) > 1) return;
        setTimeout(() => {
          upstream.write(Buffer.concat(gathered));
          gathered = [];
        }, GATHERS_MS);
      });
      upstream.on("data", (piece) => client.write(piece));
      for (const [one, other] of [[client, upstream], [upstream, client]]) {
        one.on("error", () => other.destroy());
        one.on("close", () => other.destroy());
      }
    });
    server.unref();
    server.listen(0, "127.0.0.1", () => ready(server.address().port));
  });

/** The first event of a subscription. */
const first = (port, id) =>
  new Promise((resolve, reject) => {
    const options = { connectionParams: { "x-api-key": KEY } };
    const client = new SubscriptionClient(`ws://127.0.0.1:${port}/graphql`, options, WebSocket);
    const late = setTimeout(() => reject(new Error("no event in time")), WITHIN_MS);
    const end = (settle) => (value) => {
      clearTimeout(late);
      client.close();
      settle(value);
    };
    const query = "subscription Watch($id: ID!) { onJob(id: $id) { id version } }";
    client.request({ query, variables: { id } }).subscribe({ next: end(resolve), error: end(reject) });
  });

suite(async () => {
  const server = await Server.start();
  const { submitJob } = await server.query(SUBMIT, approval("legacy"));
  for (const port of [server.port, await relay(server.port)]) {
    for (let time = 0; time < TIMES; time += 1) {
      const { data, errors } = await first(port, submitJob.id);
      assert.equal(errors, undefined);
      assert.equal(data.onJob.id, submitJob.id);
    }
  }
  console.log(`subscriptions-transport-ws: ${2 * TIMES} subscriptions were answered`);
  await server.stop();
});
