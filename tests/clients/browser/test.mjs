// GraphiQL as a newcomer uses it: opens the page, runs the mutation of the first steps, watches the
// job, and answers it in a second tab.

import assert from "node:assert/strict";
import { readFileSync, rmSync } from "node:fs";
import { chromium } from "playwright-core";
import { check, suite } from "./kit/journey.mjs";
import { Server } from "./kit/server.mjs";

const WITHIN_MS = 60_000;
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Opens GraphiQL in a new tab; every request and every error of the page is recorded. */
async function open(context, server, seen) {
  const page = await context.newPage();
  page.setDefaultTimeout(WITHIN_MS);
  page.on("request", (request) => seen.requests.push(request.url()));
  page.on("websocket", (socket) => seen.requests.push(socket.url()));
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && seen.errors.push(message.text()));
  await page.goto(server.http, { waitUntil: "networkidle" });
  await page.waitForSelector(".graphiql-query-editor .CodeMirror");
  return page;
}

/** Replaces the text in the editors, as pasting does, and presses the play button. */
async function execute(page, query, variables) {
  await page.bringToFront();
  await paste(page, ".graphiql-query-editor", query);
  if (variables) {
    await page.click(".graphiql-editor-tools button:has-text('Variables')");
    await paste(page, ".graphiql-editor-tool .graphiql-editor:not(.hidden)", JSON.stringify(variables));
  }
  await page.click(".graphiql-execute-button");
}

async function paste(page, editor, text) {
  await page.click(`${editor} .CodeMirror-lines`);
  await page.keyboard.press("Control+A");
  await page.keyboard.press("Delete");
  await page.keyboard.insertText(text);
  await page.waitForFunction(
    ([editor, text]) => document.querySelector(`${editor} .CodeMirror`).CodeMirror.getValue() === text,
    [editor, text],
  );
}

const answer = (page) =>
  page.evaluate(() => document.querySelector(".graphiql-response .CodeMirror")?.CodeMirror.getValue() ?? "");

async function shows(page, text) {
  const shown = (text) => document.querySelector(".graphiql-response .CodeMirror")?.CodeMirror.getValue().includes(text);
  await page.waitForFunction(shown, text).catch(async (error) => {
    throw new Error(`the page does not show ${text}, but: ${await answer(page)}`, { cause: error });
  });
}

/** The GraphQL documents that the first steps ask a newcomer to paste. */
const documents = (guide) => [...guide.matchAll(/```graphql[^\n]*\n(.*?)```/gs)].map(([, document]) => document);

suite(async () => {
  const server = await Server.start({ open: true });
  // A fresh profile. The last one is removed here, since a browser that was ended may still write
  // for a moment.
  rmSync("profile", { recursive: true, force: true });
  const context = await chromium.launchPersistentContext("profile", {
    executablePath: process.env.CHROMIUM,
    args: FLAGS,
    viewport: { width: 1280, height: 800 },
  });
  const seen = { requests: [], errors: [] };

  const [watch, resume] = documents(readFileSync("first-steps.md", "utf8"));
  const page = await open(context, server, seen);

  let id;
  await check("GraphiQL runs a mutation", async () => {
    await execute(
      page,
      "mutation($input: SubmitJobInput!) { submitJob(input: $input) { id status } }",
      { input: { type: "approval", input: JSON.stringify({ subject: "Publish the report?", approver: "you" }) } },
    );
    await shows(page, "QUEUED");
    ({ id } = JSON.parse(await answer(page)).data.submitJob);
  });

  await check("GraphiQL shows the guide's subscription live, answered in a second tab", async () => {
    await execute(page, watch.replace("PUT THE ID HERE", id));
    await shows(page, "WAITING");
    const second = await open(context, server, seen);
    await execute(second, resume.replace("PUT THE ID HERE", id));
    await shows(second, "resumeJob");
    await page.bringToFront();
    await shows(page, '"status": "SUCCEEDED",\n      "progress": 100');
    assert.equal(JSON.parse(JSON.parse(await answer(page)).data.onJob.result).approved, true);
    if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
  });

  await check("GraphiQL knows the schema", async () => {
    await page.click('[aria-label="Show Documentation Explorer"]');
    await page.waitForSelector(".graphiql-doc-explorer:has-text('Mutation')");
  });

  await check("no request went to another host, and nothing complained", () => {
    const hosts = new Set(seen.requests.filter((url) => !/^(data|blob):/.test(url)).map((url) => new URL(url).host));
    assert.deepEqual([...hosts], [`localhost:${server.port}`]);
    assert.deepEqual(seen.errors, []);
  });

  await context.close();
  await server.stop();
});
