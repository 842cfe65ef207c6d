"""Lints the chart, renders it with several values, and writes the manifests for a schema check.

`render.py CHART DIRECTORY`. Helm itself renders, as a library. What the manifests must say beyond
their schemas is checked here: probes, users, ports, and times that agree with the server's.
"""

import base64
import hashlib
import os
import sys
import tomllib

import helm_python as helm
import yaml

KEYS = {"auth": {"api_keys": [{"sha256": hashlib.sha256(b"key").hexdigest(), "subject": "ann", "roles": ["submitter"]}]}}
AWS = {
    "table": "jobs",
    "state_machine_arn_prefix": "arn:aws:states:eu-west-1:123456789012:stateMachine:",
    "bucket": "jobs-files",
}
MACHINE = '{"StartAt": "Only", "States": {"Only": {"Type": "Pass", "End": true}}}\n'
SQLITE = {"config": KEYS}
NODES = {"mode": "aws", "config": {**KEYS, "aws": AWS}, "existingSecret": "jobcast"}
FULL = {
    **NODES,
    "publicUrl": "https://jobs.example.com",
    "stateMachines": {"greet": MACHINE, "second": MACHINE},
    "env": [{"name": "JOBCAST_LOG", "value": "debug"}],
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "ingress": {
        "enabled": True,
        "className": "nginx",
        "annotations": {"nginx.ingress.kubernetes.io/proxy-body-size": "1g"},
        "host": "jobs.example.com",
        "tlsSecret": "jobs-tls",
    },
    "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/jobcast"}},
    "imagePullSecrets": [{"name": "registry"}],
    "podAnnotations": {"a": "b"},
    "podLabels": {"team": "jobs"},
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "spot", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "sidecars": [{"name": "resize", "image": "resize:1"}],
    "persistence": {"storageClass": "gp3"},
    "service": {"type": "LoadBalancer", "annotations": {"a": "b"}},
}
FIXED = {**NODES, "autoscaling": {"enabled": False}, "replicaCount": 3, "podDisruptionBudget": {"enabled": False}}
RENDERED = {"sqlite": SQLITE, "sqlite-full": {**FULL, "mode": "sqlite", "config": KEYS}, "aws": NODES, "aws-full": FULL, "aws-fixed": FIXED}

# Values that must be refused, and a part of the error.
REFUSED = [
    ({}, "config.auth has no api_keys and no oidc"),
    ({"config": {"auth": {"oidc": []}}}, "config.auth has no api_keys and no oidc"),
    ({**NODES, "config": KEYS}, "mode is aws and config.aws is missing"),
    ({**NODES, "mode": "sqlite"}, "config.aws is set and mode is sqlite"),
    ({**NODES, "existingSecret": ""}, "existingSecret is empty"),
    ({**NODES, "autoscaling": {"minReplicas": 5, "maxReplicas": 4}}, "minReplicas is more than"),
    ({**SQLITE, "ingress": {"enabled": True}}, "ingress.host is empty"),
    ({**SQLITE, "mode": "postgres"}, "mode"),
    ({**SQLITE, "replicas": 2}, "replicas"),
    ({**SQLITE, "stopDelaySeconds": 601}, "stopDelaySeconds"),
    ({**SQLITE, "drainSeconds": 14}, "drainSeconds"),
    ({**SQLITE, "stateMachines": {"a/b": MACHINE}}, "a/b"),
    ({"config": {**KEYS, "listen": "0.0.0.0:1"}}, "listen"),
    ({**NODES, "config": {**KEYS, "aws": {"table": "jobs"}}}, "state_machine_arn_prefix"),
]


def fail(text):
    sys.exit(f"FAIL {text}")


def check(condition, text):
    if not condition:
        fail(text)


def render(chart, values):
    """The manifests by kind and name."""
    chart.validate_schema(values)
    files = chart.render(values, name="demo", namespace="jobs")
    documents = [
        document
        for name, text in files.items()
        if name.endswith(".yaml")
        for document in yaml.safe_load_all(text)
        if document
    ]
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


def check_pod(name, owner, values):
    """The pods of a Deployment or a StatefulSet."""
    pod = owner["spec"]["template"]["spec"]
    (server, *_) = pod["containers"]
    environment = {variable["name"]: variable.get("value") for variable in server["env"]}
    delay = int(environment["JOBCAST_STOP_DELAY"].removesuffix("s"))
    check(delay == (10 if values.get("mode") == "aws" else 0), f"{name}: the delay is {delay}")
    # The server's own limits after the delay: 10 s for connections, 10 s for requests, 10 s for the
    # rest, and the engine's end.
    spare = pod["terminationGracePeriodSeconds"] - delay
    check(spare >= 45, f"{name}: {spare} s for the drain")
    ports = {port["name"]: port["containerPort"] for port in server["ports"]}
    check(environment["JOBCAST_OPERATIONS_LISTEN"] == f"0.0.0.0:{ports['operations']}", name)
    for probe, path in [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]:
        check(server[probe]["httpGet"] == {"path": path, "port": "operations"}, f"{name}: {probe}")
    noticed = server["readinessProbe"]["periodSeconds"] * server["readinessProbe"]["failureThreshold"]
    check(delay == 0 or noticed < delay, f"{name}: readiness is noticed after {noticed} s of {delay} s")
    check(pod["securityContext"]["runAsUser"] == 65532, f"{name}: another user")
    check(server["securityContext"]["readOnlyRootFilesystem"], f"{name}: a writable root")
    selector = owner["spec"]["selector"]["matchLabels"].items()
    check(selector <= owner["spec"]["template"]["metadata"]["labels"].items(), f"{name}: the selector")
    return owner["spec"]["template"]["metadata"]["annotations"]["checksum/config"]


def main():
    directory = sys.argv[1]
    chart = helm.Chart.load(sys.argv[1])
    for name, values in RENDERED.items():
        findings = [found for found in helm.lint(directory, values)["messages"] if found["severity"] > 1]
        check(not findings, f"{name}: {findings}")
        manifests = render(chart, values)
        kinds = sorted(kind for kind, _ in manifests)
        kind = "Deployment" if values.get("mode") == "aws" else "StatefulSet"
        owner = manifests[kind, "demo-jobcast"]
        checksum = check_pod(name, owner, values)
        other = render(chart, {**values, "config": {**values["config"], "retention": "1d"}})
        check(check_pod(name, other[kind, "demo-jobcast"], values) != checksum, f"{name}: the checksum stays")
        with open(os.path.join(sys.argv[2], f"{name}.yaml"), "w", encoding="utf-8") as file:
            # The Prometheus operator's kind has no schema in Kubernetes.
            yaml.safe_dump_all([one for one in manifests.values() if one["kind"] != "ServiceMonitor"], file)
        config = manifests["ConfigMap", "demo-jobcast"]["data"]
        check(tomllib.loads(config["jobcast.toml"]) == values["config"], f"{name}: jobcast.toml differs")
        with open(os.path.join(sys.argv[2], f"{name}.toml"), "w", encoding="utf-8") as file:
            file.write(config["jobcast.toml"])
        print(f"ok   {name}: {', '.join(kinds)}")
    for values, said in REFUSED:
        try:
            render(chart, values)
        except helm.HelmError as error:
            check(said in str(error), f"{values} is refused by {error}, not by {said}")
        else:
            fail(f"{values} is not refused: {said}")
    print(f"ok   {len(REFUSED)} wrong values are refused with their reason")


main()
