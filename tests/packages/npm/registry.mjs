// A registry with the packages of a directory: NAME.tgz, and NAME.json with the manifest. It serves
// what npm reads to install them, and 404 for every other name. Prints its address.

import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";

const directory = process.argv[2];
const packages = new Map();
for (const file of readdirSync(directory).filter((name) => name.endsWith(".json"))) {
    const manifest = JSON.parse(readFileSync(join(directory, file)));
    const archive = readFileSync(join(directory, file.replace(/json$/, "tgz")));
    packages.set(manifest.name, { manifest, archive });
}

const server = createServer((request, response) => {
    const [name, archive] = decodeURIComponent(request.url).slice(1).split("/-/");
    const found = packages.get(name);
    if (!found) {
        response.writeHead(404).end("{}");
    } else if (archive) {
        response.end(found.archive);
    } else {
        const { manifest } = found;
        const integrity = `sha512-${createHash("sha512").update(found.archive).digest("base64")}`;
        const tarball = `http://${request.headers.host}/${name}/-/package.tgz`;
        const version = { ...manifest, dist: { integrity, tarball } };
        response.setHeader("content-type", "application/json");
        response.end(JSON.stringify({
            name,
            "dist-tags": { latest: manifest.version },
            versions: { [manifest.version]: version },
        }));
    }
});
server.listen(0, "127.0.0.1", () => console.log(`registry on http://127.0.0.1:${server.address().port}`));
