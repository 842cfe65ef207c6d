import { serverAudits } from "graphql-http";
import { suite } from "./kit/journey.mjs";
import { Server } from "./kit/server.mjs";

suite(async () => {
  const server = await Server.start({ open: true });
  const count = { ok: 0, notice: 0, warn: 0, error: 0 };
  for (const audit of serverAudits({ url: server.http, fetchFn: fetch })) {
    const result = await audit.fn();
    count[result.status] += 1;
    const level = { ok: "ok  ", notice: "MAY ", warn: "SHOULD", error: "MUST" }[result.status];
    console.log(`${level} ${audit.id} ${audit.name}${result.status === "ok" ? "" : `: ${result.reason}`}`);
  }
  await server.stop();
  console.log(`audits: ${count.ok} ok, ${count.notice} MAY not, ${count.warn} SHOULD not, ${count.error} MUST not`);
  if (count.ok === 0) throw new Error("no audit ran");
  if (count.warn + count.error > 0) throw new Error("MUST and SHOULD audits have to pass");
});
