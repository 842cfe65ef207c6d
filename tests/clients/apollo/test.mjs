import assert from "node:assert/strict";
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, Observable, gql } from "@apollo/client/core";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { getMainDefinition } from "@apollo/client/utilities";
import { print } from "graphql";
import { createClient as createSse } from "graphql-sse";
import { createClient as createWs } from "graphql-ws";
import { WebSocket } from "ws";
import { check, CUTS, journey, resubscribing, suite, survives, text, Watch, WATCH } from "./kit/journey.mjs";
import { KEY, Server } from "./kit/server.mjs";

// The socket link expects this global of a browser.
globalThis.WebSocket = WebSocket;

/** From graphql-sse's own recipe for Apollo Client. */
class SseLink extends ApolloLink {
  constructor(options) {
    super();
    this.client = createSse(options);
  }

  request(operation) {
    return new Observable((sink) =>
      this.client.subscribe(
        { ...operation, query: print(operation.query) },
        { next: sink.next.bind(sink), complete: sink.complete.bind(sink), error: sink.error.bind(sink) },
      ),
    );
  }
}

const apollo = (server, streaming, headers = { "x-api-key": KEY }) => {
  const http = new HttpLink({ uri: server.http, headers });
  const isSubscription = ({ query }) => getMainDefinition(query).operation === "subscription";
  const client = new ApolloClient({
    link: streaming ? ApolloLink.split(isSubscription, streaming, http) : http,
    cache: new InMemoryCache(),
  });
  return {
    run: async (document, variables) => {
      const parsed = gql(document);
      const mutation = getMainDefinition(parsed).operation === "mutation";
      const { data } = mutation
        ? await client.mutate({ mutation: parsed, variables })
        : await client.query({ query: parsed, variables, fetchPolicy: "network-only" });
      return data;
    },
    watch: async (variables, seen) => {
      const subscription = client.subscribe({ query: gql(WATCH), variables }).subscribe({
        next: ({ data, error }) => (error ? seen.error(error) : seen.next(data.onJob)),
        error: seen.error,
        complete: seen.complete,
      });
      return () => subscription.unsubscribe();
    },
  };
};

suite(async () => {
  const server = await Server.start();

  const ws = createWs({
    url: server.ws,
    webSocketImpl: WebSocket,
    connectionParams: { "x-api-key": KEY },
    retryAttempts: 20,
  });
  await journey("apollo over graphql-ws", apollo(server, new GraphQLWsLink(ws)));
  await survives("apollo over graphql-ws", server, apollo(server, new GraphQLWsLink(ws)));

  const sse = new SseLink({ url: server.http, headers: { "x-api-key": KEY }, retryAttempts: 20 });
  await journey("apollo over server-sent events", apollo(server, sse));
  await survives("apollo over server-sent events", server, apollo(server, sse));

  // HttpLink's own subscriptions.
  await journey("apollo over multipart", CUTS ? resubscribing(apollo(server)) : apollo(server));
  await survives("apollo over multipart", server, resubscribing(apollo(server)));

  await check("apollo with a wrong key is told so", async () => {
    const stranger = apollo(server, undefined, { "x-api-key": "da2-wrong" });
    await assert.rejects(stranger.run("{ listJobTypes { name } }"), /401/);
    const seen = new Watch("wrong key");
    await stranger.watch({ id: "019a0000-0000-7000-8000-000000000000" }, seen);
    await seen.until("refusal", ({ failure }) => failure);
    assert.match(text(seen.failure), /401/);
  });

  await check("apollo is told that there is no such job, by every way", async () => {
    for (const [name, link] of Object.entries({ ws: new GraphQLWsLink(ws), sse, multipart: undefined })) {
      const seen = new Watch(name);
      await apollo(server, link).watch({ id: "019a0000-0000-7000-8000-000000000000" }, seen);
      await seen.until("refusal", ({ failure }) => failure);
      assert.match(text(seen.failure), /no job/i);
      assert.equal(seen.events.length, 0);
    }
  });

  await ws.dispose();
  await server.stop();
});
