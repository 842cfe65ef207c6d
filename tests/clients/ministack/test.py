"""The deployed stack: jobs from their submission to their watchers, the queue, the doors."""

import json
import os
import threading
import time
import urllib.request

import permissions
import tokens
from emulator import PREFIX, ROOT, Deployment, request, until

APPROVAL = {"type": "approval", "input": json.dumps({"subject": "s", "approver": "ann"})}
FIELDS = "id version status progress owner steps { name status } error { name message }"
SUBMIT = "mutation($input: SubmitJobInput!) { submitJob(input: $input) { id version status owner } }"
ANSWER = """mutation($id: ID!, $output: AWSJSON!) {
  resumeJob(id: $id, step: "RequestApproval", output: $output) { id status } }"""


class Watcher:
    """A subscription at the node, over server-sent events; ends with its thread."""

    def __init__(self, url, token, query, variables):
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = {
            "accept": "text/event-stream",
            "content-type": "application/json",
            "authorization": token,
        }
        self.events, self.errors = [], []
        self.answer = urllib.request.urlopen(urllib.request.Request(f"{url}/graphql", body, headers), timeout=600)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        try:
            for line in self.answer:
                if line.startswith(b"data:") and line[5:].strip():
                    found = json.loads(line[5:])
                    if found and found.get("errors"):
                        self.errors.append(found)
                    elif found and found.get("data"):
                        self.events.append((time.monotonic(), found["data"]))
        except OSError:
            pass

    def until(self, what, holds):
        def look():
            assert not self.errors, self.errors
            found = [event for _, event in self.events if holds(event)]
            return found and found[0]

        try:
            return until(what, look)
        except AssertionError as late:
            raise AssertionError(f"{late}: {[event for _, event in self.events[-3:]]}") from None


def graphql(url, token, query, variables):
    status, body = request(f"{url}/graphql", {"query": query, "variables": variables}, {"authorization": token})
    assert status == 200, f"{status} {body}"
    answer = json.loads(body)
    assert "errors" not in answer, answer
    return answer["data"]


class Bridge:
    """What ministack lacks: the log of the executions. Copies each history to the log group, in the
    shape of AWS's entries, so that the group's subscription calls lambda-execution."""

    def __init__(self, stack):
        self.states, self.logs = stack.client("stepfunctions"), stack.client("logs")
        self.group, self.sent, self.running = stack.outputs["ExecutionLogName"], {}, True
        self.logs.create_log_stream(logGroupName=self.group, logStreamName="states")
        self.thread = threading.Thread(target=self.copy)
        self.thread.start()

    def copy(self):
        while self.running:
            for machine in self.states.list_state_machines()["stateMachines"]:
                for run in self.states.list_executions(stateMachineArn=machine["stateMachineArn"])["executions"]:
                    self.of(run["executionArn"])
            time.sleep(0.05)

    def of(self, execution):
        history = self.states.get_execution_history(executionArn=execution, maxResults=1000)["events"]
        before = self.sent.get(execution, 0)
        # The first entry alone changes no row, so that a gap would follow it, and a history be read
        # that lacks `previousEventId`.
        if len(history) < 2:
            return
        entries = [self.entry(execution, event) for event in history[before:]]
        if entries:
            self.sent[execution] = len(history)
            self.logs.put_log_events(logGroupName=self.group, logStreamName="states", logEvents=entries)

    def entry(self, execution, event):
        millis = str(int(event["timestamp"].timestamp() * 1000))
        details = next((value for name, value in event.items() if name.endswith("EventDetails")), {})
        entry = {
            "id": str(event["id"]),
            "type": event["type"],
            "details": {name: value for name, value in details.items() if name not in ("input", "output")},
            # The emulator leaves it out; without branches it is the event before.
            "previous_event_id": str(event.get("previousEventId", event["id"] - 1)),
            "event_timestamp": millis,
            "execution_arn": execution,
            "redrive_count": "0",
        }
        return {"timestamp": int(millis), "message": json.dumps(entry, default=str)}

    def end(self):
        self.running = False
        self.thread.join()


def wired(stack):
    """CloudFormation made what the template describes."""
    table = stack.client("dynamodb").describe_table(TableName=stack.outputs["TableName"])["Table"]
    assert table["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES", table
    assert len(table["GlobalSecondaryIndexes"]) == 5, table
    mappings = stack.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    sources = {(one["FunctionArn"].rsplit(":", 1)[1], one["EventSourceArn"].split(":")[2]) for one in mappings}
    wanted = {("publish", "dynamodb"), ("publish", "sqs"), ("intake", "sqs")}
    assert sources == {(f"{PREFIX}{name}", service) for name, service in wanted}, sources
    machines = stack.client("stepfunctions").list_state_machines()["stateMachines"]
    names = {one["name"] for one in machines}
    assert names == {f"{PREFIX}{name}" for name in ("approval", "csv-report", "thumbnails")}, names
    print(f"ok   CloudFormation made {PREFIX}jobs, {len(mappings)} mappings and {len(names)} state machines", flush=True)


def journey(stack, ann):
    """submit → steps → end → watcher, every arrow by an event of the deployed stack."""
    upload = "mutation($size: Int!) { createUpload(name: \"orders.csv\", contentType: \"text/csv\", size: $size) { putUrl getUrl } }"
    with open(os.path.join(ROOT, "samples", "files", "orders.csv"), "rb") as file:
        orders = file.read()
    place = graphql(stack.public, ann, upload, {"size": len(orders)})["createUpload"]
    status, answer = request(place["putUrl"], orders, {"content-type": "text/csv"}, "PUT")
    assert status in (200, 201, 204), f"{status} {answer}"
    report = {"type": "csv-report", "input": json.dumps({"csv": place["getUrl"]})}
    id = graphql(stack.public, ann, SUBMIT, {"input": report})["submitJob"]["id"]
    query = "subscription($id: ID!) { onJob(id: $id) { %s result } }" % FIELDS
    watcher = Watcher(stack.public, ann, query, {"id": id})
    step = lambda event, name, status: any(
        one == {"name": name, "status": status} for one in event["onJob"]["steps"]
    )
    watcher.until("the first step", lambda event: step(event, "Analyze", "SUCCEEDED"))
    watcher.until("the second step", lambda event: step(event, "Chart", "SUCCEEDED"))
    last = watcher.until("the end", lambda event: event["onJob"]["status"] == "SUCCEEDED")["onJob"]
    assert json.loads(last["result"])["rows"] > 0, last
    versions = [event["onJob"]["version"] for _, event in watcher.events]
    assert versions == sorted(set(versions)), versions
    statuses = [event["onJob"]["status"] for _, event in watcher.events]
    print(f"ok   a job from its submission to its watcher: {', '.join(statuses)}", flush=True)
    return id


def queue(stack, everyone):
    """SQS → lambda-intake → job; a malformed message becomes a dead letter."""
    query = "subscription { onJobs { kind job { %s } } }" % FIELDS
    watcher = Watcher(stack.public, everyone, query, {})
    watcher.until("the list", lambda event: event["onJobs"]["kind"] == "SNAPSHOT")
    body = {**APPROVAL, "clientRequestToken": "intake-1"}
    sqs = stack.client("sqs")
    # The emulator's HTTP API has the authorizer, and no integration with queues.
    for _ in range(2):
        sqs.send_message(QueueUrl=stack.outputs["IntakeQueueUrl"], MessageBody=json.dumps(body))
    status, answer = stack.api("POST", "/intake", body, None)
    assert status == 401, f"{status} {answer}"
    found = watcher.until("the job of the queue", lambda event: (event["onJobs"].get("job") or {}).get("owner") == "queue")
    id = found["onJobs"]["job"]["id"]
    # The template's three minutes before a repeat would be a quarter of an hour here.
    sqs.set_queue_attributes(QueueUrl=stack.outputs["IntakeQueueUrl"], Attributes={"VisibilityTimeout": "1"})
    sqs.send_message(QueueUrl=stack.outputs["IntakeQueueUrl"], MessageBody="no job")
    letter = until(
        "the dead letter",
        lambda: sqs.receive_message(QueueUrl=stack.outputs["IntakeDeadLettersUrl"], WaitTimeSeconds=1).get("Messages"),
        within=120,
    )
    assert letter[0]["Body"] == "no job", letter
    mine = "query { listJobs(filter: { owner: { eq: \"queue\" } }) { items { id } } }"
    jobs = graphql(stack.public, everyone, mine, {})["listJobs"]["items"]
    assert [one["id"] for one in jobs] == [id], f"a repeated token made a second job: {jobs}"
    print("ok   the intake: one job of two messages with one token, a dead letter, 401 without a token", flush=True)


def without_a_node(stack, ann):
    """lambda-http answers queries and mutations; the node's watchers see what it changes."""
    status, body = stack.api("POST", "/graphql", {"query": SUBMIT, "variables": {"input": APPROVAL}}, ann)
    assert status == 200, f"{status} {body}"
    id = json.loads(body)["data"]["submitJob"]["id"]
    query = "subscription($id: ID!) { onJob(id: $id) { %s } }" % FIELDS
    watcher = Watcher(stack.public, ann, query, {"id": id})
    watcher.until("the step of its job", lambda event: event["onJob"]["status"] == "WAITING")
    cancel = "mutation($id: ID!) { cancelJob(id: $id) { id status } }"
    status, body = stack.api("POST", "/graphql", {"query": cancel, "variables": {"id": id}}, ann)
    assert status == 200 and "errors" not in json.loads(body), body
    watcher.until("its cancellation", lambda event: event["onJob"]["status"] == "CANCELLED")
    print("ok   lambda-http submits and cancels; the node's watcher sees both", flush=True)


def sweep(stack):
    """The scheduled function sweeps."""
    answer = stack.client("lambda").invoke(FunctionName=f"{PREFIX}sweep", Payload=b"{}")
    text = answer["Payload"].read().decode()
    assert "FunctionError" not in answer, text
    assert json.loads(text)["deletedJobs"] == 0, text
    print(f"ok   lambda-sweep: {text}", flush=True)


def use(url, token):
    """Requests that lead to every kind of call of a node. Which of them fail is not looked at."""

    def ask(query, variables=None):
        status, body = request(f"{url}/graphql", {"query": query, "variables": variables}, {"authorization": token})
        try:
            data = json.loads(body).get("data") or {}
        except ValueError:
            data = {}
        return next(iter(data.values()), None) or {}

    id = ask(SUBMIT, {"input": APPROVAL}).get("id", "0")
    ask("{ listJobs { items { id } } }")
    query = "query($id: ID!) { getJob(id: $id) { status input } }"
    for _ in range(100):
        if ask(query, {"id": id}).get("status") in (None, "WAITING"):
            break
        time.sleep(0.1)
    ask(ANSWER, {"id": id, "output": json.dumps({"approved": True})})
    other = ask(SUBMIT, {"input": APPROVAL}).get("id", "0")
    ask("mutation($id: ID!) { cancelJob(id: $id) { id } }", {"id": other})
    upload = "mutation { createUpload(name: \"a.txt\", contentType: \"text/plain\", size: 1) { putUrl getUrl } }"
    found = ask(upload)
    if found:
        path = lambda address: url + "/" + address.split("/", 3)[3]
        request(path(found["putUrl"]), b"x", {"content-type": "text/plain"}, "PUT")
        request(path(found["getUrl"]))


def failures(stack):
    """No function failed, and no queue of failures has a message."""
    sqs = stack.client("sqs")
    for name in ("publish-failures", "publish-dead-letters", "execution-dead-letters", "sweep-dead-letters"):
        url = sqs.get_queue_url(QueueName=f"{PREFIX}{name}")["QueueUrl"]
        messages = sqs.receive_message(QueueUrl=url).get("Messages")
        assert not messages, f"{name}: {messages}"
    print("ok   no event was given up", flush=True)


def main():
    started = time.monotonic()
    with Deployment() as stack:
        print(f"ok   infra/serverless.yaml is deployed after {time.monotonic() - started:.0f} s", flush=True)
        wired(stack)
        stack.deploy_samples()
        pool = tokens.Pool(stack)
        hand = tokens.Hand()
        stack.start_node(hand.configuration())
        stack.give_keys("http")
        bridge = Bridge(stack)
        try:
            ann, everyone = pool.sign_in("ann", ["submitters"])["access"], pool.sign_in("op", ["operators"])["access"]
            journey(stack, ann)
            without_a_node(stack, ann)
            queue(stack, everyone)
            sweep(stack)
            failures(stack)
            tokens.prove(stack, pool, hand)
            permissions.prove(stack, lambda url: use(url, ann))
        except BaseException:
            print(f"the node: {stack.node.text()[-4000:]}\nthe emulator: {stack.emulator.text()[-4000:]}", flush=True)
            stack.print_function_logs()
            raise
        finally:
            bridge.end()
            hand.end()


main()
