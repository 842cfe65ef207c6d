"""Checks that .dockerignore lets every source of the binary pass: `context.py ROOT DEP-INFO`.

cargo wrote the dep-info beside the binary: it names each file that the compiler read.
"""

import os
import sys


def main(root, dep_info):
    with open(os.path.join(root, ".dockerignore"), encoding="utf-8") as file:
        allowed = [line[1:].strip() for line in file if line.startswith("!")]
    with open(dep_info, encoding="utf-8") as file:
        (binary, names) = file.read().split(": ", 1)
    built_in = binary.split("/target/")[0]
    sources = [os.path.relpath(name, built_in) for name in names.split()]
    # cargo itself reads these.
    sources += ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".cargo/config.toml"]
    for folder, _, files in os.walk(root):
        if "Cargo.toml" in files and not {"target", "fuzz", "node_modules"} & set(folder.split(os.sep)):
            sources.append(os.path.relpath(os.path.join(folder, "Cargo.toml"), root))
    missing = [
        name
        for name in sources
        if not any(name == one or name.startswith(one + "/") for one in allowed)
    ]
    if missing or len(sources) < 100:
        sys.exit(f"FAIL .dockerignore leaves out {len(missing)} of {len(sources)} files: {missing[:5]}")
    print(f"ok   .dockerignore passes the {len(sources)} files of the build")


main(*sys.argv[1:])
