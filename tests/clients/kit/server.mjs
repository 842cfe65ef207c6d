// A server for a suite: a process on free ports with a fresh data directory, which can be killed
// and started again.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** The API key that every server here accepts; its owner is `ann`. */
export const KEY = "da2-ann-knows-this";

const keys = `
[[auth.api_keys]]
sha256 = "${createHash("sha256").update(KEY).digest("hex")}"
subject = "ann"
roles = ["submitter"]
`;

const READY_MS = 60_000;

export class Server {
  /** `open`: without authentication, as in development. `config`: further lines of jobcast.toml. */
  static async start({ open = false, config = "" } = {}) {
    const server = new Server();
    server.directory = mkdtempSync(join(tmpdir(), "jobcast-client-"));
    writeFileSync(join(server.directory, "jobcast.toml"), (open ? "" : keys) + config);
    server.listen = "127.0.0.1:0";
    process.on("exit", () => {
      server.process?.kill("SIGKILL");
      rmSync(server.directory, { recursive: true, force: true });
    });
    await server.restart();
    return server;
  }

  /** Starts it at its previous address. */
  async restart() {
    const child = spawn(process.env.JOBCAST, ["serve", "--listen", this.listen, "--log", "warn"], {
      cwd: this.directory,
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.process = child;
    this.ended = new Promise((ended) => child.once("exit", ended));
    const lines = createInterface({ input: child.stdout });
    const ready = new Promise((resolve, reject) => {
      lines.on("line", (line) => {
        const [, address] = /^listening on http:\/\/(\S+)$/.exec(line) ?? [];
        if (address) resolve(address);
      });
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`the server ended with ${code} before it was ready`)));
      setTimeout(() => reject(new Error("the server was not ready in time")), READY_MS).unref();
    });
    this.listen = await ready;
    // A browser and Amplify use the name localhost.
    this.port = Number(this.listen.split(":").at(-1));
    this.http = `http://localhost:${this.port}/graphql`;
    this.ws = `ws://localhost:${this.port}/graphql`;
  }

  /** kill -9. */
  async kill() {
    this.process.kill("SIGKILL");
    await this.ended;
  }

  /** Stops it as Ctrl-C does. */
  async stop() {
    this.process.kill("SIGINT");
    const code = await this.ended;
    if (code !== 0) throw new Error(`the server ended with ${code}`);
  }

  /** GraphQL by plain fetch: for requests that the client under test does not send itself. */
  async query(query, variables, headers = { "x-api-key": KEY }) {
    const response = await fetch(this.http, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = await response.json();
    if (errors) throw new Error(JSON.stringify(errors));
    return data;
  }
}
