"""A server of the suite's own: a process on free ports with a fresh data directory, that can be killed and started again."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request

KEY = "da2-ann-knows-this"

KEYS = f"""
[[auth.api_keys]]
sha256 = "{hashlib.sha256(KEY.encode()).hexdigest()}"
subject = "ann"
roles = ["submitter"]
"""


class Server:
    """Serves `folder`, or a fresh one; ends with the `with` block."""

    def __init__(self, config=KEYS, folder=None, environment=None):
        self.directory = tempfile.mkdtemp(prefix="jobcast-client-")
        if folder:
            shutil.copytree(folder, self.directory, dirs_exist_ok=True)
        with open(os.path.join(self.directory, "jobcast.toml"), "a") as file:
            file.write(config)
        self.environment = {**os.environ, **(environment or {})}
        self.listen = "127.0.0.1:0"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.process.terminate() if self.process.poll() is None else None
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def start(self):
        """Starts it, at the address that it had."""
        command = [os.environ["JOBCAST"], "serve", "--listen", self.listen, "--log", "warn"]
        self.process = subprocess.Popen(
            command, cwd=self.directory, env=self.environment, stdout=subprocess.PIPE, text=True
        )
        for line in self.process.stdout:
            if found := re.match(r"listening on http://(\S+)", line):
                self.listen = found[1]
            if found := re.match(r"internal on http://(\S+)", line):
                self.internal = f"{found[1]}{self.secret()}"
                break
        else:
            raise RuntimeError(f"the server ended with {self.process.wait()} before it was ready")
        self.http = f"http://{self.listen}/graphql"
        self.ws = f"ws://{self.listen}/graphql"

    def secret(self):
        """What the internal listener requires before a path, where there is authentication."""
        with open(os.path.join(self.directory, "jobcast.toml")) as file:
            if "[auth" not in file.read():
                return ""
        with open(os.path.join(self.directory, "data", "internal.key")) as file:
            return f"/{file.read()}"

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def query(self, query, variables=None, key=KEY):
        """GraphQL by plain HTTP: for what the client under test does not do itself."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {"content-type": "application/json", "x-api-key": key}
        request = urllib.request.Request(self.http, body, headers)
        answer = json.load(urllib.request.urlopen(request, timeout=30))
        if "errors" in answer:
            raise RuntimeError(answer["errors"])
        return answer["data"]
