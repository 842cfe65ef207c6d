"""Starts the image as a container runtime does: `start.py ROOT SETTINGS CONFIGURATION KEY`.

It runs in fresh namespaces of mounts and network (`unshare --mount --net`). The server is process 1
of a third one, its root is read-only and has only the image, and its user is the image's. A job runs
to its end through a function, the probes answer, and SIGTERM ends it with 0.
"""

import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request

CLONE_NEWPID = 0x20000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
PR_SET_NO_NEW_PRIVS = 38
WITHIN = 60


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def loopback_up():
    """A new network namespace has its loopback down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh", b"lo", 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(control, SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags | IFF_UP))


def prepare(root, volume, configuration):
    """The mounts of the container: everything read-only but the volume."""
    mount("--make-rprivate", "/")
    mount("--bind", root, root)
    mount("-o", "remount,bind,ro", root)
    mount("-t", "tmpfs", "-o", "uid=65532,gid=65532,mode=700", "tmpfs", root + volume)
    mount("--bind", "-o", "ro", configuration, root + "/etc/jobcast")
    mount("--bind", "/dev", root + "/dev")


def start(root, settings):
    """The server as process 1 of a namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWPID) != 0:
        sys.exit(f"no namespace of processes: {os.strerror(ctypes.get_errno())}")
    process = os.fork()
    if process == 0:
        user, group = map(int, settings["user"].split(":"))
        # Of the new namespace, so it is mounted by its first process.
        if libc.mount(b"proc", (root + "/proc").encode(), b"proc", 0, None) != 0:
            os._exit(125)
        os.chroot(root)
        os.chdir(settings["workdir"])
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", **settings["environment"]}
        os.execve(settings["entrypoint"][0], settings["entrypoint"], environment)
    return process


def request(url, key=None, body=None):
    """The status and the text of an answer, or the status 0 without one."""
    headers = {"content-type": "application/json", **({"x-api-key": key} if key else {})}
    data = json.dumps(body).encode() if body else None
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def wait_for(what, found):
    """The first true value, within the time."""
    until = time.monotonic() + WITHIN
    while time.monotonic() < until:
        if value := found():
            return value
        time.sleep(0.1)
    sys.exit(f"FAIL waited in vain for {what}")


def graphql(key, query, variables):
    """The data of an operation that succeeds."""
    body = {"query": query, "variables": variables}
    status, text = request("http://127.0.0.1:8080/graphql", key, body)
    answer = json.loads(text)
    if status != 200 or "errors" in answer:
        sys.exit(f"FAIL {query}: {status} {text}")
    return next(iter(answer["data"].values()))


def job(key):
    """A job whose first step is a function, which is a process of the server in the container."""
    wanted = {"type": "approval", "input": json.dumps({"subject": "Start?", "approver": "you"})}
    submit = "mutation($input: SubmitJobInput!) { submitJob(input: $input) { id } }"
    name = graphql(key, submit, {"input": wanted})["id"]
    get = "query($id: ID!) { getJob(id: $id) { status } }"
    status = lambda: graphql(key, get, {"id": name})["status"]
    wait_for("the function", lambda: status() == "WAITING")
    resume = "mutation($id: ID!, $output: AWSJSON!) { resumeJob(id: $id, output: $output, step: \"RequestApproval\") { id } }"
    graphql(key, resume, {"id": name, "output": json.dumps({"approved": True, "comment": "yes"})})
    wait_for("the job's end", lambda: status() == "SUCCEEDED")


def main(root, settings, configuration, key):
    settings = json.loads(settings)
    loopback_up()
    prepare(root, settings["volume"], configuration)
    process = start(root, settings)
    ready = lambda: request("http://127.0.0.1:9090/readyz")[0] == 200 or ended(process)
    wait_for("the server", ready)
    for path, status in [("livez", 200), ("healthz", 200), ("metrics", 200), ("graphql", 404)]:
        found = request(f"http://127.0.0.1:9090/{path}")
        assert found[0] == status, f"/{path}: {found}"
    found = request("http://127.0.0.1:8080/graphql", None, {"query": "{ listJobTypes { name } }"})
    assert "UNAUTH" in found[1].upper(), f"without a key: {found}"
    with open(f"/proc/{process}/status", encoding="utf-8") as file:
        facts = dict(line.split(":", 1) for line in file)
    assert facts["Uid"].split() == ["65532"] * 4, facts["Uid"]
    assert int(facts["CapEff"], 16) == 0 and facts["NoNewPrivs"].strip() == "1", facts
    assert facts["NSpid"].split()[-1] == "1", facts["NSpid"]
    job(key)
    os.kill(process, signal.Signals[settings["stopsignal"]])
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0, f"it ended with {status}"


def ended(process):
    """Ends the program if the server has ended."""
    if os.waitpid(process, os.WNOHANG)[0]:
        sys.exit("FAIL the server ended at its start")


main(*sys.argv[1:])
