import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { buildClientSchema, getIntrospectionQuery, printSchema } from "graphql";
import { createClient } from "graphql-ws";
import relay from "relay-runtime";
import { WebSocket } from "ws";
import { ANSWER, check, journey, LIST, SUBMIT, suite, survives, Watch } from "./kit/journey.mjs";
import { KEY, Server } from "./kit/server.mjs";

const { commitMutation, Environment, fetchQuery, Network, Observable, RecordSource, requestSubscription, Store } = relay;

/** Compiles operations.js against the served schema; returns the operations by file name. */
async function compile(server) {
  const introspection = await server.query(getIntrospectionQuery());
  writeFileSync("schema.graphql", printSchema(buildClientSchema(introspection)));
  mkdirSync("artifacts", { recursive: true });
  execFileSync("npx", ["--no-install", "relay-compiler"], { stdio: "inherit" });
  const artifact = async (name) => (await import(`./artifacts/operations${name}.graphql.js`)).default;
  const names = ["SubmitMutation", "AnswerMutation", "ListQuery", "WatchSubscription"];
  const [submit, answer, list, subscription] = await Promise.all(names.map(artifact));
  return { documents: { [SUBMIT]: submit, [ANSWER]: answer, [LIST]: list }, subscription };
}

/** An environment with the network layer of Relay's guide: fetch and graphql-ws. */
const environment = (server, socket) =>
  new Environment({
    store: new Store(new RecordSource()),
    network: Network.create(
      async ({ text }, variables) => {
        const response = await fetch(server.http, {
          method: "POST",
          headers: { "content-type": "application/json", "x-api-key": KEY },
          body: JSON.stringify({ query: text, variables }),
        });
        return response.json();
      },
      ({ text, name }, variables) =>
        Observable.create((sink) => socket.subscribe({ operationName: name, query: text, variables }, sink)),
    ),
  });

const client = (environment, { documents, subscription }) => ({
  run: (document, variables) =>
    document === LIST
      ? fetchQuery(environment, documents[document], variables).toPromise()
      : new Promise((resolve, reject) =>
          commitMutation(environment, {
            mutation: documents[document],
            variables,
            onCompleted: (data, errors) => (errors ? reject(errors) : resolve(data)),
            onError: reject,
          }),
        ),
  watch: async (variables, seen) => {
    const { dispose } = requestSubscription(environment, {
      subscription,
      variables,
      onNext: ({ onJob }) => seen.next(onJob),
      onError: seen.error,
      onCompleted: seen.complete,
    });
    return dispose;
  },
});

suite(async () => {
  const server = await Server.start();
  const socket = createClient({
    url: server.ws,
    webSocketImpl: WebSocket,
    connectionParams: { "x-api-key": KEY },
    retryAttempts: 20,
  });
  const relayed = client(environment(server, socket), await compile(server));
  await journey("relay", relayed);
  await survives("relay", server, relayed);

  await check("relay is told that there is no such job", async () => {
    const seen = new Watch("no such job");
    await relayed.watch({ id: "019a0000-0000-7000-8000-000000000000" }, seen);
    await seen.until("refusal", ({ failure }) => failure);
    assert.match(JSON.stringify(seen.failure), /no job/);
  });

  await socket.dispose();
  await server.stop();
});
