import assert from "node:assert/strict";
import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { createClient } from "graphql-ws";
import { WebSocket } from "ws";
import { check, CUTS, journey, resubscribing, suite, survives, text, Watch, WATCH } from "./kit/journey.mjs";
import { KEY, Server } from "./kit/server.mjs";

const urql = (client) => ({
  run: async (document, variables) => {
    const sent = document.startsWith("mutation") ? client.mutation(document, variables) : client.query(document, variables);
    const { data, error } = await sent.toPromise();
    if (error) throw error;
    return data;
  },
  watch: async (variables, seen) => {
    // urql ends no subscription by itself: it passes `hasNext: false` on instead.
    const { unsubscribe } = client.subscription(WATCH, variables).subscribe(({ data, error, hasNext }) => {
      if (error) return seen.error(error);
      const last = seen.events.at(-1);
      if (data?.onJob && data.onJob.version !== last?.version) seen.next(data.onJob);
      if (hasNext === false) seen.complete();
    });
    return unsubscribe;
  },
  completes: false,
});

suite(async () => {
  const server = await Server.start();
  const common = { url: server.http, preferGetMethod: false, requestPolicy: "network-only" };
  const fetchOptions = { headers: { "x-api-key": KEY } };

  const socket = createClient({
    url: server.ws,
    webSocketImpl: WebSocket,
    connectionParams: { "x-api-key": KEY },
    retryAttempts: 20,
  });
  const forwardSubscription = ({ query, variables }) => ({
    subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query: query ?? "", variables }, sink) }),
  });
  const overSocket = urql(
    new Client({ ...common, fetchOptions, exchanges: [fetchExchange, subscriptionExchange({ forwardSubscription })] }),
  );
  await journey("urql over graphql-ws", overSocket);
  await survives("urql over graphql-ws", server, overSocket);

  const overFetch = urql(new Client({ ...common, fetchOptions, fetchSubscriptions: true, exchanges: [fetchExchange] }));
  await journey("urql over its fetch exchange", CUTS ? resubscribing(overFetch) : overFetch);
  await survives("urql over its fetch exchange", server, resubscribing(overFetch));

  await check("urql sends queries with GET too", async () => {
    const getting = urql(new Client({ ...common, fetchOptions, preferGetMethod: "force", exchanges: [fetchExchange] }));
    const { listJobTypes } = await getting.run("{ listJobTypes { name } }", {});
    assert.ok(listJobTypes.length > 0);
  });

  await check("urql with a wrong key is told so", async () => {
    const wrong = { headers: { "x-api-key": "da2-wrong" } };
    const client = new Client({ ...common, fetchOptions: wrong, fetchSubscriptions: true, exchanges: [fetchExchange] });
    const stranger = urql(client);
    await assert.rejects(stranger.run("{ listJobTypes { name } }", {}), /credentials are not valid|Unauthorized/);
    const seen = new Watch("wrong key");
    await stranger.watch({ id: "019a0000-0000-7000-8000-000000000000" }, seen);
    await seen.until("refusal", ({ failure }) => failure);
    assert.match(text(seen.failure), /credentials are not valid|Unauthorized/);
  });

  await socket.dispose();
  await server.stop();
});
