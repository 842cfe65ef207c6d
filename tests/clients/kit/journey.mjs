// The events that every client must see: the job's current version, then rising versions, then the
// end with its result.

import assert from "node:assert/strict";

export const SUBMIT = `mutation Submit($input: SubmitJobInput!) { submitJob(input: $input) { id status version } }`;

export const WATCH = `subscription Watch($id: ID!) {
  onJob(id: $id) { id version status progress message result steps { name status } error { name message } }
}`;

export const ANSWER = `mutation Answer($id: ID!, $output: AWSJSON!) {
  resumeJob(id: $id, step: "RequestApproval", output: $output) { id status version }
}`;

export const LIST = `query List($filter: JobFilter) { listJobs(filter: $filter) { items { id status version } } }`;

/** A job that waits for an answer, so that a suite decides when it continues. */
export const approval = (subject) => ({
  input: { type: "approval", input: JSON.stringify({ subject, approver: "ann" }) },
});

export const yes = (id) => ({ id, output: JSON.stringify({ approved: true, comment: "fine" }) });

/** Whether the server cuts connections on purpose. */
export const CUTS = /(^|,)cut=/.test(process.env.JOBCAST_CHAOS ?? "");

/** Time allowed for a client to reconnect. */
const WITHIN_MS = CUTS ? 240_000 : 60_000;

/** Collects the events of one watch, and lets a test wait for the next ones. */
export class Watch {
  events = [];
  ended = false;
  #waiting = [];

  constructor(what) {
    this.what = what;
  }

  next = (job) => {
    this.events.push(job);
    this.#wake();
  };

  error = (error) => {
    this.failure ??= error;
    this.#wake();
  };

  complete = () => {
    this.ended = true;
    this.#wake();
  };

  #wake() {
    for (const waiting of this.#waiting.splice(0)) waiting();
  }

  async until(what, reached) {
    const deadline = Date.now() + WITHIN_MS;
    while (!reached(this)) {
      if (this.failure) throw new Error(`${this.what}: failed before ${what}: ${text(this.failure)}`);
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`${this.what}: no ${what} in time; seen: ${JSON.stringify(this.events)}`);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#waiting.push(() => (clearTimeout(timer), resolve()));
      });
    }
  }

  status(status) {
    return this.until(status, ({ events }) => events.at(-1)?.status === status);
  }

  /**
   * Checks all events. `submitted` is the mutation's result. A client that `reconnected` (any may,
   * if connections are cut) receives the current version, which may be a repeated one.
   */
  check(submitted, { reconnected = CUTS } = {}) {
    const { what } = this;
    const again = ({ version }, index) => reconnected && index > 0 && version === this.events[index - 1].version;
    const events = this.events.filter((event, index) => !again(event, index));
    assert.ok(events.length >= 2, `${what}: a snapshot and at least one change`);
    assert.ok(events[0].version >= submitted.version, `${what}: the snapshot is as new as the submit`);
    for (let index = 0; index < events.length; index++) {
      assert.equal(events[index].id, submitted.id, what);
      if (index > 0) assert.ok(events[index].version > events[index - 1].version, `${what}: versions rise`);
    }
    const last = events.at(-1);
    assert.equal(last.status, "SUCCEEDED", what);
    assert.equal(last.progress, 100, what);
    assert.equal(JSON.parse(last.result).approved, true, what);
  }
}

/** For a client that does not subscribe again after a lost connection: the application does it. */
export const resubscribing = (client) => ({
  ...client,
  watch: async (variables, seen) => {
    let stop;
    let stopped = false;
    const again = () => setTimeout(() => stopped || subscribe(), 50);
    const isOver = () => seen.events.at(-1)?.status === "SUCCEEDED";
    const subscribe = async () => {
      const { next, events } = seen;
      const complete = () => (isOver() ? seen.complete() : again());
      stop = await client.watch(variables, { next, events, complete, error: again });
    };
    await subscribe();
    return () => {
      stopped = true;
      return stop();
    };
  },
});

export const text = (error) => {
  if (error instanceof Error) return [error.message, error.cause && text(error.cause)].filter(Boolean).join(": ");
  return JSON.stringify(error);
};

/**
 * The journey of one client. `run(document, variables)` returns the `data` of a mutation or query;
 * `watch(variables, observer)` subscribes to WATCH, passes `data.onJob` to the observer and returns
 * a function that ends the subscription.
 */
export async function journey(what, { run, watch, completes = true }) {
  const { submitJob: submitted } = await run(SUBMIT, approval(what));
  const seen = new Watch(what);
  const stop = await watch({ id: submitted.id }, seen);
  await seen.status("WAITING");
  await run(ANSWER, yes(submitted.id));
  await seen.status("SUCCEEDED");
  if (completes) await seen.until("complete", ({ ended }) => ended);
  seen.check(submitted);
  await stop();
  const { listJobs } = await run(LIST, { filter: { id: { eq: submitted.id } } });
  assert.equal(listJobs.items[0].status, "SUCCEEDED", what);
  console.log(`ok   ${what}: ${seen.events.map(({ version, status }) => `${version} ${status}`).join(", ")}`);
}

/** The same over a kill -9 of the server: the client's reconnect brings every watch up to date. */
export async function survives(what, server, { run, watch, completes = true }, { jobs = 10, headers } = {}) {
  const watches = [];
  for (let index = 0; index < jobs; index++) {
    const { submitJob: submitted } = await run(SUBMIT, approval(`${what} ${index}`));
    watches.push({ submitted, seen: new Watch(`${what}: job ${index}`) });
  }
  // All at once: a new subscription within five seconds of a broken connection stops Amplify (6.22)
  // from restoring the others, with any server (ReconnectionMonitor: the new connection halts it).
  for (const one of watches) one.stop = await watch({ id: one.submitted.id }, one.seen);
  for (const { seen } of watches) await seen.status("WAITING");
  await server.kill();
  await server.restart();
  // Half of the jobs change while no client is connected, half of them after that.
  const half = jobs / 2;
  for (const { submitted } of watches.slice(0, half)) await server.query(ANSWER, yes(submitted.id), headers);
  for (const { seen } of watches.slice(0, half)) await seen.status("SUCCEEDED");
  for (const { submitted } of watches.slice(half)) await server.query(ANSWER, yes(submitted.id), headers);
  for (const { submitted, seen, stop } of watches) {
    await seen.status("SUCCEEDED");
    if (completes) await seen.until("complete", ({ ended }) => ended);
    seen.check(submitted, { reconnected: true });
    await stop();
  }
  console.log(`ok   ${what}: ${jobs} watches current after kill -9 and restart`);
}

/** A test that is not a journey. */
export async function check(what, test) {
  await test();
  console.log(`ok   ${what}`);
}

/** Runs a suite: the process ends with it. */
export async function suite(test) {
  try {
    await test();
    process.exit(0);
  } catch (error) {
    console.error(`FAIL ${error.stack ?? text(error)}`);
    process.exit(1);
  }
}
