// An identity provider for the suites: signs tokens as Cognito does (RS256), and writes its public
// keys to the file that the server reads.

import { generateKeyPairSync, sign } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ISSUER = "https://id.example/pool";
const CLIENT = "the-app";

export class Identity {
  #key;
  #count = 0;

  constructor() {
    const directory = mkdtempSync(join(tmpdir(), "jobcast-identity-"));
    process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
    this.file = join(directory, "jwks.json");
    this.rotate();
  }

  /** The lines for jobcast.toml. */
  get config() {
    return `
[auth.oidc]
issuer = "${ISSUER}"
audience = "${CLIENT}"
jwks_file = "${this.file}"
everybody = ["viewer"]
groups = { users = ["submitter"] }
`;
  }

  /** Takes a new key; the one before is withdrawn. */
  rotate() {
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    this.#key = { kid: `key-${++this.#count}`, privateKey };
    const jwk = { ...publicKey.export({ format: "jwk" }), alg: "RS256", use: "sig", kid: this.#key.kid };
    writeFileSync(this.file, JSON.stringify({ keys: [jwk] }));
  }

  /** An access token in the form of Cognito's. */
  token(subject, { seconds = 3600, groups = ["users"] } = {}) {
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: ISSUER,
      client_id: CLIENT,
      token_use: "access",
      sub: subject,
      "cognito:groups": groups,
      iat: now,
      exp: now + seconds,
    };
    const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const signed = `${part({ alg: "RS256", kid: this.#key.kid })}.${part(claims)}`;
    return `${signed}.${sign("sha256", Buffer.from(signed), this.#key.privateKey).toString("base64url")}`;
  }
}
