import assert from "node:assert/strict";
import { WebSocket } from "ws";
import { Identity } from "./kit/identity.mjs";
import { ANSWER, approval, check, journey, suite, SUBMIT, survives, text, Watch, WATCH, yes } from "./kit/journey.mjs";
import { KEY, Server } from "./kit/server.mjs";

// Amplify expects these globals of a browser.
globalThis.WebSocket = WebSocket;
const { Amplify } = await import("aws-amplify");
const { generateClient } = await import("aws-amplify/api");
const { decodeJWT } = await import("aws-amplify/auth");

/** Subscriptions use `endpoint`, other requests `customEndpoint`: so Amplify works without TLS. */
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

/** Amplify, signed in with the tokens that `token` returns whenever Amplify needs one. */
const signIn = (server, token) =>
  Amplify.configure(configuration(server, { defaultAuthMode: "oidc" }), {
    Auth: { tokenProvider: { getTokens: async () => ({ accessToken: decodeJWT(token()) }) } },
  });

suite(async () => {
  const identity = new Identity();
  const server = await Server.start({ config: identity.config });

  Amplify.configure(configuration(server, { apiKey: KEY }));
  const client = generateClient();
  // AppSync never ends a subscription, and Amplify would ignore the end.
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

  signIn(server, () => identity.token("bea"));
  const signedIn = generateClient();
  const bea = { run: run(signedIn), watch: watch(signedIn), completes: false };
  await journey("amplify with a JWT", bea);
  const answers = { authorization: `Bearer ${identity.token("bea")}` };
  await survives("amplify with a JWT", server, bea, { headers: answers });

  await check("amplify keeps its watches over the end of a token, with a new key of the provider's", async () => {
    let given = 0;
    signIn(server, () => identity.token("bea", { seconds: (given += 1) && 8 }));
    const client = generateClient();
    const { submitJob: submitted } = await run(client)(SUBMIT, approval("short tokens"));
    const seen = new Watch("short tokens");
    const stop = await watch(client)({ id: submitted.id }, seen);
    await seen.status("WAITING");
    const before = given;
    identity.rotate();
    // The server closes the socket when its token expires; Amplify reconnects with a new one.
    while (given === before && !seen.failure) await new Promise((later) => setTimeout(later, 200));
    await run(client)(ANSWER, yes(submitted.id));
    await seen.status("SUCCEEDED");
    seen.check(submitted, { reconnected: true });
    assert.equal(seen.failure, undefined);
    stop();
  });

  await check("amplify is told when its token does not allow something, is over, or is not its own", async () => {
    const { submitJob: submitted } = await run(signedIn)(SUBMIT, approval("not for everybody"));
    const denied = async (token, type) => {
      signIn(server, token);
      const failed = await run(generateClient())(SUBMIT, approval("denied")).then(assert.fail, (error) => error);
      assert.equal(failed.errors[0].errorType ?? failed.errors[0].message, type);
    };
    await denied(() => identity.token("cid", { groups: [] }), "Unauthorized");
    await denied(() => identity.token("cid", { seconds: -1 }), "Unauthorized");
    signIn(server, () => identity.token("cid"));
    const seen = new Watch("somebody else's job");
    await watch(generateClient())({ id: submitted.id }, seen);
    await seen.until("refusal", ({ failure }) => failure);
    assert.match(text(seen.failure), /no job/);
    assert.equal(seen.events.length, 0);
  });

  await server.stop();
});
