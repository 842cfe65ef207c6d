"""ministack as a process, the serverless part of infra/ deployed to it, and a node beside it."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile

import boto3
import yaml

REGION = "eu-west-1"
ACCOUNT = "000000000000"
PREFIX = "jobcast-"
FUNCTION_PREFIX = "jobcast-job-"
STACK = "jobcast"
# Time allowed for any event, in seconds.
WITHIN = 90
ROOT = os.environ["ROOT"]
PROGRAMS = os.environ["PROGRAMS"]
SAMPLES = ["request-approval", "finish-approval", "csv-report-analyze", "csv-report-chart"]

ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("JOBCAST_")},
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_PAGER": "",
}


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def until(what, found, within=WITHIN):
    """Waits until `found` returns something that counts as true, and returns it."""
    deadline = time.monotonic() + within
    while not (value := found()):
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.05)
    return value


class Process:
    """A process with its output in a file; ends with the `with` block."""

    def __init__(self, command, environment, log, directory=None):
        self.log = log
        self.process = subprocess.Popen(
            command, env=environment, cwd=directory, stdout=open(log, "w"), stderr=subprocess.STDOUT
        )

    def text(self):
        with open(self.log) as file:
            return file.read()

    def seen(self, pattern):
        """Waits for a line of the output."""

        def look():
            assert self.process.poll() is None, f"{self.process.args[0]} ended: {self.text()[-3000:]}"
            return re.search(pattern, self.text())

        return until(f"{pattern} in {self.log}", look)

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Deployment:
    """The emulator, the stack and one node."""

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="jobcast-ministack-")
        self.processes = []
        try:
            self.start_emulator()
            self.node_port = free_port()
            self.public = f"http://127.0.0.1:{self.node_port}"
            self.deploy()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.end()
        shutil.rmtree(self.directory, ignore_errors=True)

    def run(self, command, environment, name, directory=None):
        process = Process(command, environment, os.path.join(self.directory, f"{name}.log"), directory)
        self.processes.append(process)
        return process

    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def start_emulator(self):
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        temporary = os.path.join(self.directory, "emulator")
        os.mkdir(temporary)
        self.environment = {
            **ENVIRONMENT,
            # Programs of functions call this address.
            "AWS_ENDPOINT_URL": self.endpoint,
        }
        environment = {
            **self.environment,
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_REGION": REGION,
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "LAMBDA_EXECUTOR": "local",
            "TMPDIR": temporary,
        }
        program = os.path.join(os.path.dirname(sys.executable), "ministack")
        self.emulator = self.run([program], environment, "ministack", temporary)

        def ready():
            assert self.emulator.process.poll() is None, self.emulator.text()[-3000:]
            try:
                return urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=2).status == 200
            except OSError:
                return False

        until("ministack answers", ready)

    def aws(self, *arguments):
        """The AWS CLI."""
        command = ["tools/bin/aws", *arguments, "--region", REGION]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=5 * WITHIN)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def why(self):
        """What CloudFormation says of resources that failed."""
        lines = []
        cloudformation = self.client("cloudformation")
        for stack in cloudformation.describe_stacks()["Stacks"]:
            for event in cloudformation.describe_stack_events(StackName=stack["StackId"])["StackEvents"]:
                if "FAILED" in event["ResourceStatus"]:
                    lines.append(f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}")
        return "\n".join(lines)

    def deploy(self):
        self.client("s3").create_bucket(
            Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        packaged = os.path.join(self.directory, "packaged.yaml")
        self.aws(
            "cloudformation", "package", "--template-file", os.path.join(ROOT, "infra", "serverless.yaml"),
            "--s3-bucket", "artifacts", "--output-template-file", packaged,
        )
        parameters = {
            "PublicUrl": self.public,
            "PublishUrl": f"{self.public}/graphql",
            "Architecture": "x86_64",
            # A process without a container has no /var/task.
            "StateMachinesDirectory": os.path.join(ROOT, "state-machines"),
            "IntakeOwner": "queue",
            "LogLevel": "info",
        }
        cloudformation = self.client("cloudformation")
        with open(packaged) as file:
            cloudformation.create_stack(
                StackName=STACK,
                TemplateBody=file.read(),
                Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
                Parameters=[
                    {"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()
                ],
            )
        described = lambda: cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
        until("the stack is made", lambda: not described()["StackStatus"].endswith("_IN_PROGRESS"), 5 * WITHIN)
        described = described()
        assert described["StackStatus"] == "CREATE_COMPLETE", f"{described['StackStatus']}: {self.why()}"
        self.outputs = {one["OutputKey"]: one["OutputValue"] for one in described["Outputs"]}

    def deploy_samples(self):
        """The functions of the sample job types, which a user deploys beside the stack."""
        archive = os.path.join(self.directory, "samples.zip")
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
            file.write(os.path.join(PROGRAMS, "jobcast-functions"), "bootstrap")
        s3, functions = self.client("s3"), self.client("lambda")
        s3.upload_file(archive, "artifacts", "samples.zip")
        for name in SAMPLES:
            functions.create_function(
                FunctionName=f"{FUNCTION_PREFIX}{name}",
                Runtime="provided.al2023",
                Handler=name,
                Role=f"arn:aws:iam::{ACCOUNT}:role/samples",
                Code={"S3Bucket": "artifacts", "S3Key": "samples.zip"},
                Timeout=30,
            )

    def node_environment(self, endpoint, further=""):
        """The variables that infra/service.yaml gives to a task, with the addresses of emulators."""
        # A variable of the SDKs wins over the file.
        environment = {**self.environment, **self.task_variables(), "AWS_ENDPOINT_URL": endpoint}
        text = environment["JOBCAST_CONFIG_TEXT"]
        # The emulator's pool has its keys at its own address.
        keys = f'jwks_url = "{self.endpoint}/{self.outputs["UserPoolId"]}/.well-known/jwks.json"'
        text, changed = re.subn(r"(?m)^jwks_url = .*$", keys, text)
        assert changed == 1, text
        text = text.replace("[aws]\n", f'[aws]\nendpoint_url = "{endpoint}"\n', 1)
        # With a second provider names would get a prefix, which `lambda-http` does not give.
        text = text.replace("[auth.oidc]\n", '[[auth.oidc]]\nowner_prefix = ""\n')
        environment["JOBCAST_CONFIG_TEXT"] = text + further
        environment["JOBCAST_OPERATIONS_LISTEN"] = "127.0.0.1:0"
        environment["JOBCAST_STATE_MACHINES"] = os.path.join(ROOT, "state-machines")
        environment["JOBCAST_DATA"] = os.path.join(self.directory, "data")
        environment["JOBCAST_SECRET"] = self.client("secretsmanager").get_secret_value(
            SecretId=self.outputs["SecretArn"]
        )["SecretString"]
        return environment

    def start_node(self, further=""):
        """A server with the variables that infra/service.yaml gives to a task."""
        environment = self.node_environment(self.endpoint, further)
        environment["JOBCAST_LISTEN"] = f"127.0.0.1:{self.node_port}"
        self.node = self.run([os.environ["JOBCAST"], "serve"], environment, "node", self.directory)
        self.node.seen("listening on")

    def give_keys(self, name):
        """Lets a function read the keys of the emulator's pool."""
        functions, name = self.client("lambda"), f"{PREFIX}{name}"
        variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        keys = f'jwks_url = "{self.endpoint}/{self.outputs["UserPoolId"]}/.well-known/jwks.json"'
        variables["JOBCAST_CONFIG_TEXT"] = re.sub(r"(?m)^jwks_url = .*$", keys, variables["JOBCAST_CONFIG_TEXT"])
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})

    def api(self, method, path, body, token):
        """A request to the HTTP API."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        url = f"{self.endpoint}/_aws/execute-api/{self.outputs['HttpApiId']}/$default{path}"
        return request(url, body, headers, method)

    def print_function_logs(self):
        logs = self.client("logs")
        for group in logs.describe_log_groups()["logGroups"]:
            name = group["logGroupName"]
            if name.startswith("/aws/lambda/"):
                events = logs.filter_log_events(logGroupName=name)["events"]
                print(f"{name}:", *(event["message"].rstrip() for event in events[-15:]), sep="\n  ", flush=True)

    def task_variables(self):
        """The variables of the container in infra/service.yaml, with the outputs of the stack."""
        values = {**self.outputs, "PublicUrl": self.public, "LogLevel": "info"}
        fill = lambda text: re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], text)
        task = template("service.yaml")["Resources"]["Task"]["Properties"]
        variables = {}
        for one in task["ContainerDefinitions"][0]["Environment"]:
            value = one["Value"]
            if isinstance(value, dict):
                (kind, value), = value.items()
                value = values[value] if kind == "Ref" else fill(value)
            variables[one["Name"]] = value
        return variables


def template(name):
    """A template of infra/, with `!Sub x` as `{"Sub": x}`."""

    class Loader(yaml.SafeLoader):
        pass

    def tagged(loader, tag, node):
        if isinstance(node, yaml.ScalarNode):
            return {tag: loader.construct_scalar(node)}
        if isinstance(node, yaml.SequenceNode):
            return {tag: loader.construct_sequence(node, deep=True)}
        return {tag: loader.construct_mapping(node, deep=True)}

    Loader.add_multi_constructor("!", tagged)
    with open(os.path.join(ROOT, "infra", name)) as file:
        return yaml.load(file, Loader)


def request(url, body=None, headers=None, method=None):
    """Status and body of a request."""
    data = None if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
    headers = {"content-type": "application/json", **(headers or {})}
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=30)
        return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
