import assert from "node:assert/strict";
import { WebSocket } from "ws";
import { check, journey, suite, survives, text, Watch, WATCH } from "./kit/journey.mjs";
import { KEY, Server } from "./kit/server.mjs";

// What Amplify needs of a browser.
globalThis.WebSocket = WebSocket;
const { Amplify } = await import("aws-amplify");
const { generateClient } = await import("aws-amplify/api");

/** Subscriptions go to `endpoint`, all else to `customEndpoint`: so Amplify talks to a server without TLS. */
const configuration = (server, more) => ({
  API: {
    GraphQL: {
      endpoint: server.ws,
      customEndpoint: server.http,
      customEndpointRegion: "us-east-1",
      region: "us-east-1",
      defaultAuthMode: "apiKey",
      ...more,
    },
  },
});

const run = (client) => async (query, variables) => (await client.graphql({ query, variables })).data;

const watch = (client) => async (variables, seen) => {
  const subscription = client.graphql({ query: WATCH, variables }).subscribe({
    next: ({ data }) => seen.next(data.onJob),
    error: seen.error,
  });
  return () => subscription.unsubscribe();
};

suite(async () => {
  const server = await Server.start();

  Amplify.configure(configuration(server, { apiKey: KEY }));
  const client = generateClient();
  // AppSync never ends a subscription, and Amplify would not hear it.
  const amplify = { run: run(client), watch: watch(client), completes: false };
  await journey("amplify with an API key", amplify);
  await survives("amplify", server, amplify);

  await check("amplify with a wrong key is told so, over HTTP and over the socket", async () => {
    Amplify.configure(configuration(server, { apiKey: "da2-wrong" }));
    const stranger = generateClient();
    const refused = ({ errors }) => errors[0].message === "Unauthorized";
    await assert.rejects(run(stranger)("{ listJobTypes { name } }"), refused);
    const seen = new Watch("wrong key");
    await watch(stranger)({ id: "019a0000-0000-7000-8000-000000000000" }, seen);
    await seen.until("refusal", ({ failure }) => failure);
    assert.match(text(seen.failure), /UnauthorizedException/);
  });

  await server.stop();
});
