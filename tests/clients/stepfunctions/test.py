"""Every operation of Step Functions, with boto3 and the AWS CLI, against a local server."""

import json
import os
import re
import subprocess
import sys
import threading
import time

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError

from server import Server

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_PAGER": "",
    # StartSyncExecution and TestState have the host prefix `sync-`, which an IP address cannot
    # have.
    "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
}
ROLE = "arn:aws:iam::000000000000:role/any"
DEADLINE = 60


class Refused(Exception):
    """An error of the service, with its name."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code = code


class Boto3:
    """The operations by boto3."""

    name = "boto3"

    def __init__(self, url):
        self.client = boto3.client("stepfunctions", endpoint_url=url)
        self.operations = set(self.client.meta.service_model.operation_names)

    def call(self, operation, parameters):
        try:
            reply = getattr(self.client, xform_name(operation))(**parameters)
        except ClientError as error:
            raise Refused(error.response["Error"]["Code"], error.response["Error"]["Message"]) from None
        reply.pop("ResponseMetadata")
        return reply


class Cli:
    """The operations by the AWS CLI."""

    name = "aws"

    def __init__(self, url):
        self.url = url
        self.operations = set(boto3.client("stepfunctions").meta.service_model.operation_names)

    def call(self, operation, parameters):
        command = [
            os.path.join(os.path.dirname(sys.executable), "aws"),
            "stepfunctions",
            xform_name(operation, "-"),
            "--endpoint-url",
            self.url,
            "--output",
            "json",
            "--cli-input-json",
            json.dumps(parameters),
        ]
        if "maxResults" in parameters:
            command.append("--no-paginate")
        done = subprocess.run(command, capture_output=True, text=True, timeout=2 * DEADLINE)
        if done.returncode:
            told = re.search(r"An error occurred \((\w+)\) when calling the \w+ operation: (.*)", done.stderr, re.S)
            if told:
                raise Refused(told[1], told[2])
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout) if done.stdout.strip() else {}


class Script:
    """Calls operations, counts them, and waits if the service needs time."""

    def __init__(self, client):
        self.client = client
        self.used = set()

    def __call__(self, operation, **parameters):
        self.used.add(operation)
        return self.client.call(operation, parameters)

    def refuses(self, code, operation, **parameters):
        try:
            self(operation, **parameters)
        except Refused as refused:
            assert refused.code == code, refused
        else:
            raise AssertionError(f"{operation} was not refused with {code}")

    def until(self, status, arn):
        deadline = time.monotonic() + DEADLINE
        while (found := self("DescribeExecution", executionArn=arn))["status"] != status:
            assert found["status"] == "RUNNING" and time.monotonic() < deadline, found
            time.sleep(0.05)
        return found


def definition(**states):
    return json.dumps({"StartAt": next(iter(states)), "States": states})


def machines(call, tag):
    """State machines, versions, aliases, tags."""
    text = definition(Hello={"Type": "Pass", "Result": {"answer": 42}, "End": True})
    created = call(
        "CreateStateMachine",
        name=f"hello-{tag}",
        definition=text,
        roleArn=ROLE,
        publish=True,
        tags=[{"key": "team", "value": "one"}],
    )
    machine, version = created["stateMachineArn"], created["stateMachineVersionArn"]
    again = call("CreateStateMachine", name=f"hello-{tag}", definition=text, roleArn=ROLE, publish=True)
    assert again["stateMachineVersionArn"] == version, again
    other = definition(Hello={"Type": "Succeed"})
    call.refuses("StateMachineAlreadyExists", "CreateStateMachine", name=f"hello-{tag}", definition=other, roleArn=ROLE)
    call.refuses("InvalidDefinition", "CreateStateMachine", name=f"bad-{tag}", definition="{}", roleArn=ROLE)
    call.refuses("InvalidName", "CreateStateMachine", name=f"bad {tag}", definition=text, roleArn=ROLE)

    updated = call("UpdateStateMachine", stateMachineArn=machine, definition=other)
    described = call("DescribeStateMachine", stateMachineArn=machine)
    assert described["definition"] == other and described["revisionId"] == updated["revisionId"], described
    second = call("PublishStateMachineVersion", stateMachineArn=machine, description="two")["stateMachineVersionArn"]
    assert second == f"{machine}:2", second
    listed = call("ListStateMachineVersions", stateMachineArn=machine, maxResults=1)
    assert [one["stateMachineVersionArn"] for one in listed["stateMachineVersions"]] == [second] and "nextToken" in listed
    assert any(one["stateMachineArn"] == machine for one in call("ListStateMachines")["stateMachines"])

    routes = [{"stateMachineVersionArn": version, "weight": 100}]
    alias = call("CreateStateMachineAlias", name="PROD", routingConfiguration=routes)["stateMachineAliasArn"]
    run = call("StartExecution", stateMachineArn=alias, name="by-alias", input="{}")["executionArn"]
    found = call.until("SUCCEEDED", run)
    assert json.loads(found["output"]) == {"answer": 42}, found
    assert found["stateMachineAliasArn"] == alias and found["stateMachineVersionArn"] == version, found
    shown = call("DescribeStateMachineForExecution", executionArn=run)
    assert shown["definition"] == text and shown["roleArn"] == ROLE, shown
    call.refuses("ConflictException", "DeleteStateMachineVersion", stateMachineVersionArn=version)
    split = [{"stateMachineVersionArn": version, "weight": 50}, {"stateMachineVersionArn": second, "weight": 50}]
    call("UpdateStateMachineAlias", stateMachineAliasArn=alias, routingConfiguration=split, description="both")
    described = call("DescribeStateMachineAlias", stateMachineAliasArn=alias)
    assert described["routingConfiguration"] == split and described["description"] == "both", described
    assert len(call("ListStateMachineAliases", stateMachineArn=machine)["stateMachineAliases"]) == 1
    call("DeleteStateMachineAlias", stateMachineAliasArn=alias)
    call("DeleteStateMachineVersion", stateMachineVersionArn=version)

    call("TagResource", resourceArn=machine, tags=[{"key": "stage", "value": "test"}])
    call("UntagResource", resourceArn=machine, tagKeys=["team"])
    assert call("ListTagsForResource", resourceArn=machine)["tags"] == [{"key": "stage", "value": "test"}]
    call("DeleteStateMachine", stateMachineArn=machine)
    call.refuses("StateMachineDoesNotExist", "DescribeStateMachine", stateMachineArn=machine)


def executions(call, tag):
    """Start, list, history in pages, stop, redrive."""
    text = definition(
        Wait={"Type": "Wait", "SecondsPath": "$.seconds", "Next": "Done"}, Done={"Type": "Succeed"}
    )
    machine = call("CreateStateMachine", name=f"wait-{tag}", definition=text, roleArn=ROLE)["stateMachineArn"]
    done = call("StartExecution", stateMachineArn=machine, name="short", input='{"seconds": 0}')["executionArn"]
    call.until("SUCCEEDED", done)
    call.refuses("ExecutionAlreadyExists", "StartExecution", stateMachineArn=machine, name="short", input='{"seconds": 0}')
    call.refuses("InvalidExecutionInput", "StartExecution", stateMachineArn=machine, input="no json")
    long = call("StartExecution", stateMachineArn=machine, name="long", input='{"seconds": 3600}')["executionArn"]
    listed = call("ListExecutions", stateMachineArn=machine, statusFilter="RUNNING")["executions"]
    assert [one["executionArn"] for one in listed] == [long], listed
    call("StopExecution", executionArn=long, error="Enough", cause="of it")
    stopped = call.until("ABORTED", long)
    assert (stopped["error"], stopped["cause"]) == ("Enough", "of it"), stopped
    call("RedriveExecution", executionArn=long)
    assert call("DescribeExecution", executionArn=long)["redriveCount"] == 1
    call.refuses("ExecutionNotRedrivable", "RedriveExecution", executionArn=done)
    call("StopExecution", executionArn=long)

    types, token = [], {}
    while True:
        page = call("GetExecutionHistory", executionArn=done, maxResults=2, **token)
        types += [event["type"] for event in page["events"]]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    back = call("GetExecutionHistory", executionArn=done, reverseOrder=True, includeExecutionData=False)["events"]
    assert [event["type"] for event in back] == types[::-1] and types[-1] == "ExecutionSucceeded", types
    assert "input" not in back[-1]["executionStartedEventDetails"], back[-1]
    call.refuses("ExecutionDoesNotExist", "DescribeExecution", executionArn=done + "-not")
    call("DeleteStateMachine", stateMachineArn=machine)


def express(call, tag):
    """An answer at the end of the execution."""
    text = json.dumps(
        {
            "QueryLanguage": "JSONata",
            "StartAt": "Add",
            "States": {"Add": {"Type": "Pass", "Output": "{% $states.input.a + $states.input.b %}", "End": True}},
        }
    )
    machine = call("CreateStateMachine", name=f"add-{tag}", definition=text, roleArn=ROLE, type="EXPRESS")
    machine = machine["stateMachineArn"]
    reply = call("StartSyncExecution", stateMachineArn=machine, input='{"a": 2, "b": 3}')
    assert (reply["status"], reply["output"]) == ("SUCCEEDED", "5"), reply
    call.refuses("StateMachineTypeNotSupported", "ListExecutions", stateMachineArn=machine)
    call("DeleteStateMachine", stateMachineArn=machine)


def activities(call, tag):
    """A worker that takes tasks, keeps them alive and answers them."""
    activity = call("CreateActivity", name=f"work-{tag}")["activityArn"]
    assert call("DescribeActivity", activityArn=activity)["name"] == f"work-{tag}"
    assert any(one["activityArn"] == activity for one in call("ListActivities")["activities"])
    text = definition(Work={"Type": "Task", "Resource": activity, "HeartbeatSeconds": 600, "End": True})
    machine = call("CreateStateMachine", name=f"worked-{tag}", definition=text, roleArn=ROLE)["stateMachineArn"]
    good = call("StartExecution", stateMachineArn=machine, input='{"n": 1}')["executionArn"]
    task = call("GetActivityTask", activityArn=activity, workerName="me")
    assert json.loads(task["input"]) == {"n": 1}, task
    call("SendTaskHeartbeat", taskToken=task["taskToken"])
    call("SendTaskSuccess", taskToken=task["taskToken"], output='"done"')
    assert call.until("SUCCEEDED", good)["output"] == '"done"'
    call.refuses("TaskTimedOut", "SendTaskSuccess", taskToken=task["taskToken"], output='"again"')
    call.refuses("InvalidToken", "SendTaskHeartbeat", taskToken="no token")

    # The poll begins before the task exists.
    polled = []
    poll = threading.Thread(target=lambda: polled.append(call("GetActivityTask", activityArn=activity)))
    poll.start()
    bad = call("StartExecution", stateMachineArn=machine, input="{}")["executionArn"]
    poll.join(DEADLINE)
    call("SendTaskFailure", taskToken=polled[0]["taskToken"], error="Broken", cause="by hand")
    assert call.until("FAILED", bad)["error"] == "Broken"
    call("DeleteStateMachine", stateMachineArn=machine)
    call("DeleteActivity", activityArn=activity)
    call.refuses("ActivityDoesNotExist", "GetActivityTask", activityArn=activity)


def map_runs(call, tag):
    """A distributed Map that waits, changed while it does."""
    wait = {"Type": "Wait", "Seconds": 3600, "End": True}
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Wait",
        "States": {"Wait": wait},
    }
    text = definition(Each={"Type": "Map", "MaxConcurrency": 1, "Label": "each", "ItemProcessor": processor, "End": True})
    machine = call("CreateStateMachine", name=f"each-{tag}", definition=text, roleArn=ROLE)["stateMachineArn"]
    run = call("StartExecution", stateMachineArn=machine, input="[1, 2, 3]")["executionArn"]
    (listed,) = call("ListMapRuns", executionArn=run)["mapRuns"]
    described = call("DescribeMapRun", mapRunArn=listed["mapRunArn"])
    assert described["status"] == "RUNNING" and described["maxConcurrency"] == 1, described
    assert described["itemCounts"]["total"] == 3, described
    call("UpdateMapRun", mapRunArn=listed["mapRunArn"], maxConcurrency=2, toleratedFailureCount=1)
    described = call("DescribeMapRun", mapRunArn=listed["mapRunArn"])
    assert (described["maxConcurrency"], described["toleratedFailureCount"]) == (2, 1), described
    assert len(call("ListExecutions", mapRunArn=listed["mapRunArn"])["executions"]) == 2
    call("StopExecution", executionArn=run)
    assert call("DescribeMapRun", mapRunArn=listed["mapRunArn"])["status"] == "ABORTED"
    aborted = call("ListExecutions", mapRunArn=listed["mapRunArn"], statusFilter="ABORTED")["executions"]
    assert len(aborted) == 2, aborted
    call("DeleteStateMachine", stateMachineArn=machine)


def definitions(call, _):
    """Validates a definition and tests a state."""
    good = definition(Hello={"Type": "Pass", "End": True})
    assert call("ValidateStateMachineDefinition", definition=good)["result"] == "OK"
    bad = call("ValidateStateMachineDefinition", definition=definition(Hello={"Type": "Pass", "Next": "Nowhere"}))
    assert bad["result"] == "FAIL" and bad["diagnostics"], bad
    state = json.dumps({"Type": "Pass", "Parameters": {"b.$": "$.a"}, "Next": "Other"})
    tried = call("TestState", definition=state, input='{"a": 1}', inspectionLevel="DEBUG")
    assert (tried["status"], tried["nextState"]) == ("SUCCEEDED", "Other"), tried
    assert json.loads(tried["inspectionData"]["afterParameters"]) == {"b": 1}, tried


def main():
    os.environ.update(ENVIRONMENT)
    with Server() as server:
        url = f"http://{server.internal}"
        for client in (Boto3(url), Cli(url)):
            call = Script(client)
            for part in (machines, executions, express, activities, map_runs, definitions):
                part(call, client.name)
                print(f"{client.name}: {part.__doc__.splitlines()[0]}", flush=True)
            missing = client.operations - call.used
            assert not missing, f"{client.name}: these operations were not called: {sorted(missing)}"
            print(f"{client.name}: all {len(call.used)} operations", flush=True)


main()
