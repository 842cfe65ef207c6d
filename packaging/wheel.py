"""Packs a binary as the wheel of `pip install jobcast-server`: `wheel.py BINARY DIRECTORY`.

The wheel has no Python code: pip puts the program beside `python` as it is (binary distribution
format, "The .data directory"). The platform tag says which GNU C library the program needs (PEP
600). Prints the path of the wheel. The same input gives the same bytes.
"""

import base64
import hashlib
import os
import sys
import zipfile

import binary

NAME = "jobcast-server"
PLAIN_NAME = "jobcast_server"


def metadata(version):
    """METADATA, as the core metadata specification 2.4 has it."""
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {NAME}",
        f"Version: {version}",
        f"Summary: {binary.DESCRIPTION}",
        f"License-Expression: {binary.LICENSE}",
        *[f"License-File: {name}" for name in binary.LICENSE_FILES],
        f"Project-URL: Repository, {binary.REPOSITORY}",
        "Requires-Python: >=3.8",
        "Description-Content-Type: text/markdown",
        "",
        binary.text("packaging", "python", "README.md").decode(),
    ]
    return "\n".join(lines).encode()


def pack(program, directory):
    """Writes the wheel and returns its path."""
    version = binary.version()
    major, minor = program.glibc
    tag = f"py3-none-manylinux_{major}_{minor}_{program.processor[0]}"
    info = f"{PLAIN_NAME}-{version}.dist-info"
    wheel = f"Wheel-Version: 1.0\nGenerator: jobcast\nRoot-Is-Purelib: false\nTag: {tag}\n"
    files = [
        (f"{PLAIN_NAME}-{version}.data/scripts/jobcast", program.content, 0o755),
        (f"{info}/METADATA", metadata(version), 0o644),
        (f"{info}/WHEEL", wheel.encode(), 0o644),
        *[(f"{info}/licenses/{name}", binary.text(name), 0o644) for name in binary.LICENSE_FILES],
    ]
    record = []
    for name, content, _ in files:
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record.append(f"{name},sha256={digest},{len(content)}\n")
    record.append(f"{info}/RECORD,,\n")
    files.append((f"{info}/RECORD", "".join(record).encode(), 0o644))
    path = os.path.join(directory, f"{PLAIN_NAME}-{version}-{tag}.whl")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, mode in files:
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, content)
    return path


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: wheel.py BINARY DIRECTORY")
    os.makedirs(sys.argv[2], exist_ok=True)
    print(pack(binary.read(sys.argv[1]), sys.argv[2]))
