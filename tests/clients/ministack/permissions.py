"""Each action of the policy of the nodes taken away in turn: the node's log names it."""

import http.client
import http.server
import json
import os
import threading
import urllib.parse

from emulator import ACCOUNT, REGION, Process, free_port, request, template, until

SERVICES = {"DynamoDB_20120810": "dynamodb", "AWSStepFunctions": "states"}
# A transaction needs the action of each of its parts.
PARTS = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
# Actions that no request of this suite leads to, with the reason.
NOT_SHOWN = {
    "states:RedriveExecution": "ministack does not have it",
    "states:DescribeExecution": "only the sweep asks, which is a function",
    "states:SendTaskSuccess": "only resumeJob, and the histories of ministack lack the token",
    "states:SendTaskFailure": "only resumeJob of a failed answer",
    "s3:AbortMultipartUpload": "only an upload that breaks off",
    "s3:DeleteObject": "only the purge, which is a function",
}


class Refusing:
    """A door before the emulator that refuses one action as AWS does."""

    def __init__(self, endpoint):
        self.denied = None
        host = urllib.parse.urlsplit(endpoint)
        refusing = self

        class Door(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def any(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if refusing.denied in refusing.actions(self, body):
                    return self.refuse(refusing.denied)
                upstream = http.client.HTTPConnection(host.hostname, host.port, timeout=30)
                headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
                upstream.request(self.command, self.path, body, headers)
                answer = upstream.getresponse()
                text = answer.read()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                        self.send_header(name, value)
                self.send_header("content-length", str(len(text) if self.command != "HEAD" else 0))
                self.end_headers()
                self.wfile.write(text)
                upstream.close()

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = any

            def refuse(self, action):
                said = (
                    f"User: arn:aws:sts::{ACCOUNT}:assumed-role/jobcast-node/task is not authorized to perform: {action} "
                    f"on resource: arn:aws:{action.split(':')[0]}:{REGION}:{ACCOUNT}:any because no identity-based policy allows the {action} action"
                )
                if action.startswith("s3:"):
                    kind, status = "application/xml", 403
                    text = f"<Error><Code>AccessDenied</Code><Message>{said}</Message></Error>".encode()
                else:
                    kind, status = "application/x-amz-json-1.0", 400
                    text = json.dumps({"__type": "AccessDeniedException", "message": said}).encode()
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @staticmethod
    def actions(door, body):
        """The actions that a request needs."""
        target = door.headers.get("x-amz-target")
        if not target:
            return {f"s3:{ {'PUT': 'PutObject', 'POST': 'PutObject', 'DELETE': 'DeleteObject'}.get(door.command, 'GetObject') }"}
        version, operation = target.split(".")
        service = SERVICES.get(version, version)
        if operation != "TransactWriteItems":
            return {f"{service}:{operation}"}
        parts = json.loads(body)["TransactItems"]
        return {f"{service}:{PARTS[name]}" for part in parts for name in part}

    def end(self):
        self.server.shutdown()


def policy():
    """The actions of the policy of the nodes."""
    statements = template("serverless.yaml")["Resources"]["NodePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    for statement in statements:
        actions = statement["Action"]
        yield from [actions] if isinstance(actions, str) else actions


def prove(stack, use):
    """A node behind the door for each action; `use(url)` makes requests of every kind, and errors of
    its requests are expected."""
    door, shown = Refusing(stack.endpoint), []
    try:
        for number, action in enumerate(policy()):
            if action in NOT_SHOWN:
                continue
            door.denied = action
            port = free_port()
            environment = {**stack.node_environment(door.endpoint), "JOBCAST_LISTEN": f"127.0.0.1:{port}", "JOBCAST_LOG": "warn"}
            log = os.path.join(stack.directory, f"denied-{number}.log")
            node = Process([os.environ["JOBCAST"], "serve"], environment, log, stack.directory)
            try:
                until("the node starts or ends", lambda: node.process.poll() is not None or "listening on" in node.text())
                if node.process.poll() is None:
                    use(f"http://127.0.0.1:{port}")
                    until(f"a line that names {action} in {node.text()[-2000:]}", lambda: action in node.text(), 30)
                assert action in node.text(), f"the start without {action} does not name it: {node.text()}"
                shown.append(action)
            finally:
                node.end()
    finally:
        door.end()
    print(f"ok   {len(shown)} actions of the nodes' policy, each taken away in turn, are named by the node", flush=True)
