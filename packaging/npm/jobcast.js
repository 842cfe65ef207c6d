#!/usr/bin/env node
// Starts the binary that npm has installed for this platform, and ends as it ends.
"use strict";

const { spawn } = require("node:child_process");
const { constants } = require("node:os");
const { isatty } = require("node:tty");

const platform = `${process.platform}-${process.arch}`;
const supported = Object.keys(require("../package.json").optionalDependencies);

function fail(message) {
    console.error(message);
    process.exit(1);
}

function binary() {
    const name = `@jobcast/${platform}`;
    if (!supported.includes(name)) {
        fail(
            `jobcast has no binary for ${platform}, only ${supported.join(" and ")}. ` +
                "Build it with Rust: cargo install --git https://github.com/jobcast/jobcast jobcast",
        );
    }
    try {
        return require.resolve(`${name}/bin/jobcast`);
    } catch {
        return fail(
            `${name}, the package with the binary, is not installed. Install jobcast again on this ` +
                "machine and without --omit=optional. It needs Linux with the GNU C library.",
        );
    }
}

const child = spawn(binary(), process.argv.slice(2), { stdio: "inherit" });

// A terminal sends its signals to the child too, and a second one would end the server at once.
const onTerminal = [0, 1, 2].some(isatty);
for (const signal of ["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT"]) {
    process.on(signal, () => {
        if (signal === "SIGTERM" || !onTerminal) child.kill(signal);
    });
}

child.on("error", (error) => fail(`${child.spawnfile} cannot be started: ${error.message}`));
child.on("exit", (code, signal) => {
    process.exit(signal ? 128 + constants.signals[signal] : code);
});
