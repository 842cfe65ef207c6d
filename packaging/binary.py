"""The facts of a built binary that its packages state: version, platform, oldest C library.

Nothing is compiled here: a package holds a binary as it was built, so that the tests pack the
binary that they have in seconds, and a release packs its own in the same way.
"""

import os
import re
import struct
import sys
from dataclasses import dataclass

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DESCRIPTION = "A real-time job-status service: submit over GraphQL, run as Step Functions, watch live"
REPOSITORY = "https://github.com/jobcast/jobcast"
LICENSE = "MIT OR Apache-2.0"
LICENSE_FILES = ["LICENSE-APACHE", "LICENSE-MIT"]

# ELF's numbers of processors (System V ABI, e_machine), and the names that Python and Node have
# for them.
PROCESSORS = {62: ("x86_64", "x64"), 183: ("aarch64", "arm64")}


@dataclass(frozen=True)
class Binary:
    """A program for Linux and the GNU C library."""

    content: bytes
    # Python's name of the processor, then Node's.
    processor: tuple
    # The newest version of the GNU C library of which it uses a symbol.
    glibc: tuple


def read(path):
    """Reads a binary. Ends the program if it cannot be packed."""
    with open(path, "rb") as file:
        content = file.read()
    if content[:6] != b"\x7fELF\x02\x01":
        sys.exit(f"{path} is not a 64-bit ELF program: only binaries for Linux are packed so far")
    (machine,) = struct.unpack_from("<H", content, 18)
    if machine not in PROCESSORS:
        sys.exit(f"{path} is for ELF's processor {machine}, and only {list(PROCESSORS)} are packed")
    versions = re.findall(rb"\0GLIBC_(\d+)\.(\d+)", content)
    if not versions:
        sys.exit(f"{path} does not use the GNU C library: static programs are not packed so far")
    glibc = max((int(major), int(minor)) for major, minor in versions)
    return Binary(content, PROCESSORS[machine], glibc)


def version():
    """The version of the workspace in Cargo.toml."""
    found = re.search(
        rb'^\[workspace\.package\]\nversion = "([^"]+)"$', text("Cargo.toml"), re.MULTILINE
    )
    if not found:
        sys.exit("Cargo.toml has no version as the first line of [workspace.package]")
    return found.group(1).decode()


def text(*path):
    """The content of a file of the repository."""
    with open(os.path.join(ROOT, *path), "rb") as file:
        return file.read()
