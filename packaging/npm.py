"""Packs a binary for `npx jobcast`: `npm.py BINARY DIRECTORY`.

Writes two archives for `npm publish`: `@jobcast/linux-PROCESSOR` with the binary, which npm installs
on that platform only, and `jobcast`, which names the packages of all platforms as optional
dependencies and starts the binary that npm has installed. No script runs at the installation, and
nothing is downloaded by other means. Prints the paths. The same input gives the same bytes.
"""

import gzip
import io
import json
import os
import sys
import tarfile

import binary

# The platforms that a release publishes. A release packs `jobcast` once, and each binary.
PLATFORMS = ["linux-x64", "linux-arm64"]


def common(name):
    """The fields of both packages."""
    return {
        "name": name,
        "version": binary.version(),
        "description": binary.DESCRIPTION,
        "license": f"({binary.LICENSE})",
        "repository": {"type": "git", "url": f"git+{binary.REPOSITORY}.git"},
        "homepage": f"{binary.REPOSITORY}#readme",
    }


def launcher():
    """The package `jobcast`: its file name, its manifest, its other files with their modes."""
    manifest = {
        **common("jobcast"),
        "keywords": ["jobs", "workflow", "graphql", "subscriptions", "step-functions"],
        "bin": {"jobcast": "bin/jobcast.js"},
        "engines": {"node": ">=18"},
        "optionalDependencies": {
            f"@jobcast/{platform}": binary.version() for platform in PLATFORMS
        },
    }
    files = {
        "bin/jobcast.js": (binary.text("packaging", "npm", "jobcast.js"), 0o755),
        "README.md": (binary.text("packaging", "npm", "README.md"), 0o644),
    }
    return "jobcast", manifest, files


def platform(program):
    """The package of a platform, likewise."""
    processor = program.processor[1]
    manifest = {
        **common(f"@jobcast/linux-{processor}"),
        "description": f"The binary of jobcast for Linux with the GNU C library, {processor}",
        "os": ["linux"],
        "cpu": [processor],
        "libc": ["glibc"],
        "preferUnplugged": True,
        "publishConfig": {"access": "public"},
    }
    text = f"The binary of the package `jobcast` for Linux, {processor}.\n"
    files = {
        "bin/jobcast": (program.content, 0o755),
        "README.md": (text.encode(), 0o644),
    }
    return f"jobcast-linux-{processor}", manifest, files


def pack(package, directory):
    """Writes a package as npm packs one, below the folder `package`, and returns its path."""
    name, manifest, files = package
    licenses = {name: (binary.text(name), 0o644) for name in binary.LICENSE_FILES}
    manifest = (json.dumps(manifest, indent=2) + "\n").encode()
    files = {"package.json": (manifest, 0o644), **files, **licenses}
    path = os.path.join(directory, f"{name}-{binary.version()}.tgz")
    with open(path, "wb") as out:
        with gzip.GzipFile(fileobj=out, mode="wb", filename="", mtime=0, compresslevel=6) as zipped:
            with tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive:
                for inner, (content, mode) in files.items():
                    entry = tarfile.TarInfo(f"package/{inner}")
                    entry.size, entry.mode = len(content), mode
                    archive.addfile(entry, io.BytesIO(content))
    return path


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: npm.py BINARY DIRECTORY")
    os.makedirs(sys.argv[2], exist_ok=True)
    print(pack(launcher(), sys.argv[2]))
    print(pack(platform(binary.read(sys.argv[1])), sys.argv[2]))
