"""Takes the first job type from its guide, and runs it: started by the server, and attached by hand."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from server import KEY, KEYS, Server

WITHIN = 60
WATCH = "query($id: ID!) { getJob(id: $id) { version status progress message result error { name message } } }"
SUBMIT = "mutation($input: SubmitJobInput!) { submitJob(input: $input) { id status } }"
VENV = os.path.dirname(os.path.abspath(sys.executable))


def block(guide, name):
    """The code block that is this file."""
    found = re.search(r"```\w+ file=" + re.escape(name) + r"\n(.*?)```", guide, re.DOTALL)
    assert found, f"the guide has no block `file={name}`"
    return found[1]


def folder(guide):
    path = tempfile.mkdtemp(prefix="jobcast-greet-")
    os.mkdir(os.path.join(path, "state-machines"))
    for name in ("state-machines/greet.asl.json", "greet.py", "jobcast.toml"):
        with open(os.path.join(path, name), "w") as file:
            # The guide has its virtual environment beside it; here it is elsewhere.
            file.write(block(guide, name).replace("venv/bin/python", os.path.join(VENV, "python3")))
    return path


def greet(server, name, subject="greet"):
    """Submits, and gives the job at its end."""
    variables = {"input": {"type": subject, "input": json.dumps({"name": name})}}
    id = server.query(SUBMIT, variables)["submitJob"]["id"]
    deadline = time.monotonic() + WITHIN
    last = None
    while time.monotonic() < deadline:
        job = server.query(WATCH, {"id": id})["getJob"]
        assert last is None or job["version"] >= last["version"], f"versions fall: {last} {job}"
        last = job
        if job["status"] in ("SUCCEEDED", "FAILED", "CANCELLED", "TIMED_OUT"):
            return job
        time.sleep(0.1)
    raise AssertionError(f"{subject} did not end in time: {last}")


def started_by_the_server(guide):
    path = folder(guide)
    try:
        with Server(config="\n" + KEYS, folder=path) as server:
            for name in ("Ada", "Grace", "Barbara"):
                job = greet(server, name)
                assert job["status"] == "SUCCEEDED", job
                assert json.loads(job["result"]) == {"greeting": f"Hello, {name}"}, job
                assert job["message"] == f"thinking about {name}", job
            print(f"ok   awslambdaric, started by the server: {job['result']}")
            failed = greet(server, 7)
            assert (failed["status"], failed["error"]["name"]) == ("FAILED", "TypeError"), failed
            print(f"ok   a Python exception is the job's error: {failed['error']}")
    finally:
        shutil.rmtree(path)


def attached(guide):
    """A function without a command: a process from outside polls for it."""
    path = folder(guide)
    try:
        with open(os.path.join(path, "jobcast.toml"), "w") as file:
            file.write("[functions.greet]\n")
        with Server(config=KEYS, folder=path) as server:
            environment = {**os.environ, "AWS_LAMBDA_RUNTIME_API": f"{server.internal}/greet"}
            command = [sys.executable, "-m", "awslambdaric", "greet.handler"]
            function = subprocess.Popen(command, cwd=path, env=environment)
            try:
                job = greet(server, "Ada")
                assert (job["status"], json.loads(job["result"])) == ("SUCCEEDED", {"greeting": "Hello, Ada"}), job
                assert function.poll() is None, "the function ended by itself"
                print(f"ok   awslambdaric, attached from outside: {job['result']}")
            finally:
                function.kill()
                function.wait()
    finally:
        shutil.rmtree(path)


CONTEXT = {"StartAt": "T", "States": {"T": {
    "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "OutputPath": "$.Payload", "End": True,
    "Parameters": {"FunctionName": "context", "Payload": {}, "ClientContext": "eyJjdXN0b20iOnsiayI6InYifX0="}}}}

HANDLER = """
import os

def handler(event, context):
    names = ("AWS_REGION", "AWS_DEFAULT_REGION", "LAMBDA_TASK_ROOT", "_HANDLER")
    return {"custom": context.client_context.custom, "remaining": context.get_remaining_time_in_millis(),
            "variables": [name for name in names if os.environ.get(name)], "secret": os.environ.get("MY_PASSWORD")}
"""


def as_on_lambda():
    """Only the client context and Lambda's variables, although an unreachable proxy is configured."""
    path = tempfile.mkdtemp(prefix="jobcast-context-")
    try:
        os.mkdir(os.path.join(path, "state-machines"))
        with open(os.path.join(path, "state-machines", "context.asl.json"), "w") as file:
            json.dump(CONTEXT, file)
        with open(os.path.join(path, "m.py"), "w") as file:
            file.write(HANDLER)
        with open(os.path.join(path, "jobcast.toml"), "w") as file:
            file.write('[functions.context]\ncommand = ["python3", "-m", "awslambdaric", "m.handler"]\n')
        environment = {"PATH": f"{VENV}:{os.environ['PATH']}", "MY_PASSWORD": "hush"}
        environment |= {name: "http://127.0.0.1:9" for name in ("http_proxy", "HTTP_PROXY")}
        with Server(config=KEYS, folder=path, environment=environment) as server:
            id = server.query(SUBMIT, {"input": {"type": "context", "input": "{}"}})["submitJob"]["id"]
            deadline = time.monotonic() + WITHIN
            job = {"status": "QUEUED"}
            while job["status"] in ("QUEUED", "RUNNING") and time.monotonic() < deadline:
                time.sleep(0.1)
                job = server.query(WATCH, {"id": id})["getJob"]
            assert job["status"] == "SUCCEEDED", job
            seen = json.loads(job["result"])
            assert seen["custom"] == {"k": "v"}, seen
            assert seen["remaining"] > 0 and len(seen["variables"]) == 4 and seen["secret"] is None, seen
            print(f"ok   client context and variables: {seen}")
    finally:
        shutil.rmtree(path)


def without_the_client():
    """A function without a runtime client: the job's error has the last lines of its output."""
    path = tempfile.mkdtemp(prefix="jobcast-missing-")
    try:
        os.mkdir(os.path.join(path, "state-machines"))
        with open(os.path.join(path, "state-machines", "missing.asl.json"), "w") as file:
            json.dump({"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "missing", "End": True}}}, file)
        with open(os.path.join(path, "jobcast.toml"), "w") as file:
            file.write('[functions.missing]\ncommand = ["python3", "-m", "not_awslambdaric", "m.handler"]\n')
        with Server(config=KEYS, folder=path) as server:
            job = greet(server, "Ada", "missing")
            assert (job["status"], job["error"]["name"]) == ("FAILED", "Runtime.ExitError"), job
            assert "No module named not_awslambdaric" in job["error"]["message"], job
            print(f"ok   a missing runtime client is named: {job['error']['message'].splitlines()[-1]}")
    finally:
        shutil.rmtree(path)


with open("first-job-python.md") as file:
    text = file.read()
as_on_lambda()
without_the_client()
started_by_the_server(text)
attached(text)
