"""Lays out the files of the image as the Dockerfile says: `assemble.py DOCKERFILE BINARY ROOT`.

It reads the last stage alone: COPY from the build, ENV, USER, WORKDIR, ENTRYPOINT. The results of
the build stage are the binary and empty directories. Prints the settings as JSON.
"""

import json
import os
import shlex
import shutil
import sys


def instructions(path):
    """The instructions of the last stage, without continuations and comments."""
    with open(path, encoding="utf-8") as file:
        lines = [line for line in file.read().split("\n") if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").split("\n")
    parts = [line.split(None, 1) for line in joined if line.strip()]
    last = max(number for number, (name, _) in enumerate(parts) if name == "FROM")
    return parts[last:]


def main(dockerfile, binary, root):
    settings = {"environment": {}}
    for name, rest in instructions(dockerfile):
        if name == "COPY":
            words = rest.split()
            options = [word for word in words if word.startswith("--")]
            source, target = [word for word in words if not word.startswith("--")]
            place = root + target
            os.makedirs(os.path.dirname(place), exist_ok=True)
            if source.endswith("/jobcast") and "/bin/" in source:
                shutil.copy(binary, place)
            else:
                os.makedirs(place, exist_ok=True)
            for option in options:
                if option.startswith("--chown="):
                    user, group = option.removeprefix("--chown=").split(":")
                    os.chown(place, int(user), int(group))
        elif name == "ENV":
            settings["environment"].update(word.split("=", 1) for word in shlex.split(rest))
        elif name in ("ENTRYPOINT", "VOLUME", "USER", "WORKDIR", "STOPSIGNAL"):
            settings[name.lower()] = json.loads(rest) if rest.startswith("[") else rest
    print(json.dumps(settings))


main(*sys.argv[1:])
