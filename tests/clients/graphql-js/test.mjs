// Executes the same documents here and in graphql-js.

import { readFileSync } from "node:fs";
import { buildSchema, execute, getOperationAST, parse, validate } from "graphql";
import { broken, brokenVariables, Generator, random } from "./documents.mjs";
import { suite } from "./kit/journey.mjs";
import { Server } from "./kit/server.mjs";

const CASES = Number(process.env.JOBCAST_CASES ?? 400);
const SEED = Number(process.env.JOBCAST_TEST_SEED ?? 1);
/** Differences that are shown before it gives up. */
const SHOWN = 10;
const UNKNOWN = "019a0000-0000-7000-8000-000000000000";

/** The schema with AppSync's scalars and directives, which its text leaves out. */
function schemaOf(text) {
  const declared = `
    scalar AWSJSON scalar AWSDateTime
    directive @aws_iam on FIELD_DEFINITION
    directive @aws_subscribe(mutations: [String!]!) on FIELD_DEFINITION`;
  const schema = buildSchema(text + declared);
  const check = {
    AWSJSON: (value) => {
      if (typeof value !== "string") throw new TypeError("no string");
      JSON.parse(value);
      return value;
    },
    AWSDateTime: (value) => {
      if (typeof value !== "string" || !/^\d{4}-\d\d-\d\dT/.test(value)) throw new TypeError("no time");
      return value;
    },
  };
  for (const [name, parseValue] of Object.entries(check)) {
    Object.assign(schema.getType(name), {
      parseValue,
      parseLiteral: (node) => parseValue(node.kind === "StringValue" ? node.value : undefined),
    });
  }
  return schema;
}

const ALL = `
  id type owner status progress message input result error { name message step } tags attempt version createdAt startedAt updatedAt
  finishedAt expiresAt execution history(limit: 1000) { events next }
  steps { name index type status progress attempt itemsDone itemsTotal startedAt finishedAt error { name message step } }`;

/** Answers with what the server has, as read once. */
class Root {
  constructor(jobs, data) {
    this.data = data;
    this.jobs = jobs.map((job) => ({ ...job, history: (args) => page(job, args) }));
  }

  getJob({ id }) {
    if (!/^[0-9a-f]{8}-/.test(id)) throw new Error("no id");
    return this.jobs.find((job) => job.id === id) ?? null;
  }

  listJobs({ filter, sort, limit, nextToken }) {
    if (nextToken != null) throw new Skip();
    const found = this.jobs.filter((job) => holds(filter?.type, job.type) && holds(filter?.status, job.status));
    if (sort === "OLDEST") found.reverse();
    // A full page has a token for the next one, which differs between servers.
    if (limit < found.length) throw new Skip();
    return { items: found, nextToken: null };
  }

  listJobTypes() {
    return this.data.listJobTypes;
  }

  jobStats({ since }) {
    if (since != null) throw new Skip();
    return this.data.jobStats;
  }
}

/** The case is not compared. */
class Skip extends Error {}

function holds(filter, value) {
  if (filter?.eq !== undefined && filter.eq !== value) return false;
  return filter?.ne === undefined || filter.ne !== value;
}

function page(job, { after, limit }) {
  const events = job.history.events.filter((event) => JSON.parse(event).id > after);
  if (events.length > limit) throw new Skip();
  return { events, next: null };
}

async function ask(server, { text, variables, kind, name }) {
  const accept = "application/graphql-response+json";
  const body = { query: text, variables, operationName: name };
  // A mutation is only validated: with GET, a valid one is refused for its method.
  const response =
    kind === "query"
      ? await fetch(server.http, {
          method: "POST",
          headers: { "content-type": "application/json", accept },
          body: JSON.stringify(body),
        })
      : await fetch(`${server.http}?${new URLSearchParams({ query: text, variables: JSON.stringify(variables), ...(name && { operationName: name }) })}`, {
          headers: { accept },
        });
  return { status: response.status, ...(await response.json()) };
}

/** What is different, or nothing. */
async function compare(server, schema, root, asked) {
  const found = await ask(server, asked);
  let document;
  let errors = [];
  try {
    document = parse(asked.text);
    errors = validate(schema, document);
  } catch (error) {
    errors = [error];
    // It takes no conditions at the root of a subscription.
    if (/was provided the variable/.test(error.message)) return { skipped: true };
  }
  const code = found.errors?.[0]?.extensions?.code;
  if (errors.length > 0) {
    const refused = found.status === 400 && !("data" in found) && found.errors.length > 0;
    return refused ? {} : { different: "it is not valid", expected: errors.map((error) => error.message), found };
  }
  // Valid, but more than one request may ask for here.
  if (code === "ResolverExecutionLimitReached") return { skipped: true };
  const operation = getOperationAST(document, asked.name);
  if (!operation) {
    return found.status === 400 && !("data" in found) ? {} : { different: "no operation", found };
  }
  if (operation.operation !== "query") {
    // Our own errors for a valid document that was sent in the wrong way.
    const fine = operation.operation === "mutation" ? code === "MutationOverGet" || asked.kind === "query" : code === "OperationNotSupported";
    return fine ? {} : { different: "it is valid", found };
  }
  let expected;
  try {
    expected = await execute({ schema, document, rootValue: root, variableValues: asked.variables, operationName: asked.name });
  } catch (error) {
    expected = { errors: [error] };
  }
  if (expected.errors?.some((error) => error.originalError instanceof Skip)) return { skipped: true };
  if (!("data" in expected)) {
    const refused = found.status === 400 && !("data" in found);
    return refused ? {} : { different: "the variables are wrong", expected, found };
  }
  const count = (answer) => answer.errors?.length ?? 0;
  const same = JSON.stringify(expected.data) === JSON.stringify(found.data) && count(expected) === count(found) && found.status === 200;
  return same ? { executed: true } : { different: "the answer", expected, found };
}

suite(async () => {
  const server = await Server.start({ open: true });
  const schema = schemaOf(readFileSync(process.env.SCHEMA, "utf8"));
  const submit = "mutation($input: SubmitJobInput!) { submitJob(input: $input) { id } }";
  const ids = [];
  for (const tags of [[], ["one"], ["one", "two"]]) {
    const { submitJob } = await server.query(submit, { input: { type: "approval", input: JSON.stringify({ subject: "é", approver: "ann" }), tags } }, {});
    ids.push(submitJob.id);
  }
  await waiting(server, ids);
  const rest = "listJobTypes { name description inputSchema definition steps } jobStats { total truncated byStatus { status count } durations { type count p50Millis p95Millis } }";
  const jobs = [];
  // The newest first, as in a list.
  for (const id of ids.toReversed()) {
    jobs.push((await server.query(`query($id: ID!) { getJob(id: $id) { ${ALL} } }`, { id }, {})).getJob);
  }
  const root = new Root(jobs, await server.query(`{ ${rest} }`, {}, {}));
  const rng = random(SEED);
  const generator = new Generator(schema, rng, [...ids, UNKNOWN]);
  const count = { valid: 0, skipped: 0, different: 0 };
  for (let at = 0; at < CASES; at += 1) {
    const asked = generator.document();
    if (rng.chance(0.5)) asked.text = broken(asked.text, rng);
    else if (rng.chance(0.2)) asked.variables = brokenVariables(asked.variables, rng);
    const result = await compare(server, schema, root, asked);
    count.valid += Number(result.executed ?? false);
    count.skipped += Number(result.skipped ?? false);
    if (result.different) {
      count.different += 1;
      console.log(`case ${at} of seed ${SEED}: ${result.different}\n${asked.text}\n${JSON.stringify(asked.variables)}`);
      console.log(JSON.stringify({ expected: result.expected, found: result.found }, null, 1));
      if (count.different >= SHOWN) break;
    }
  }
  await server.stop();
  console.log(`${CASES} documents: ${count.valid} executed alike, ${count.skipped} not compared, ${count.different} different`);
  if (count.valid < CASES / 8) throw new Error("too few documents were executed");
  if (count.different > 0) throw new Error("some are different");
});

/** Waits until each job waits for its answer and its function has reported: then it is stable. */
async function waiting(server, ids) {
  const end = Date.now() + 30_000;
  for (const id of ids) {
    for (;;) {
      const { getJob } = await server.query("query($id: ID!) { getJob(id: $id) { status message } }", { id }, {});
      if (getJob.status === "WAITING" && getJob.message) break;
      if (Date.now() > end) throw new Error(`the job is ${getJob.status} and not WAITING`);
      await new Promise((done) => setTimeout(done, 50));
    }
  }
}
