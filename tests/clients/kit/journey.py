"""What every client must see: the current version, rising versions, the end with its result."""

import json
import os
import re

SUBMIT = "mutation Submit($input: SubmitJobInput!) { submitJob(input: $input) { id status version } }"

WATCH = """subscription Watch($id: ID!) {
  onJob(id: $id) { id version status progress message result steps { name status } error { name message } }
}"""

ANSWER = """mutation Answer($id: ID!, $output: AWSJSON!) {
  resumeJob(id: $id, step: "RequestApproval", output: $output) { id status version }
}"""

# Whether the server cuts connections on purpose.
CUTS = bool(re.search(r"(^|,)cut=", os.environ.get("JOBCAST_CHAOS", "")))

# Time allowed for any event, in seconds.
WITHIN = 60


def approval(subject):
    """A job that waits for an answer, so that a suite decides when it continues."""
    return {"input": {"type": "approval", "input": json.dumps({"subject": subject, "approver": "ann"})}}


def yes(id):
    return {"id": id, "output": json.dumps({"approved": True, "comment": "fine"})}


def check(what, submitted, events):
    """Checks all events; `submitted` is the mutation's result."""
    assert len(events) >= 2, f"{what}: a snapshot and at least one change: {events}"
    assert events[0]["version"] >= submitted["version"], f"{what}: the snapshot is as new as the submit"
    versions = [event["version"] for event in events]
    assert versions == sorted(set(versions)), f"{what}: versions rise: {versions}"
    assert {event["id"] for event in events} == {submitted["id"]}, what
    last = events[-1]
    assert (last["status"], last["progress"]) == ("SUCCEEDED", 100), f"{what}: {last}"
    assert json.loads(last["result"])["approved"] is True, f"{what}: {last}"
    told = ", ".join(f"{event['version']} {event['status']}" for event in events)
    print(f"ok   {what}: {told}", flush=True)
