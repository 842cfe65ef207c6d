//! The part of `serve --help` about the configuration file. It is itself such a file, which a test
//! reads: it has every key, and each is valid.

/// Every key of the file, below the flags.
pub const SETTINGS: &str = r#"Configuration:
  A flag overrides its variable, and both override the file. Every key of the file is optional; an unknown key is an error.
  Paths in the file are relative to its directory.

    # the same names and values as the flags above
    listen = "127.0.0.1:8080"
    internal_listen = "127.0.0.1:0"
    internal_secret_required = true # whether requests to it must show DATA/internal.key, which is new at each start: as the first part of the
                                    # path, as `Authorization: Bearer`, or as the access key id. Left out: when there is authentication
    operations_listen = "127.0.0.1:9090"   # /healthz, /livez, /readyz and /metrics alone, without credentials
    data = "data"
    state_machines = "state-machines"
    public_url = "https://jobs.example.com"
    log = "info"
    log_format = "text"
    stop_delay = "0s"               # with a load balancer: the time that it needs to notice that /readyz fails
    chaos = "drop=0.05"

    samples = true                  # whether the sample job types are served: thumbnails, csv-report, approval
    sample_addresses = ["https://pictures.example.com/"]   # addresses that the samples read besides this server's files
    retention = "30d"               # time for which finished jobs are kept. Files of their input and result are deleted with them, but
                                    # not within the 7 days of their addresses; other files 7 days later, in a bucket by its own rules
    report_life = "7d"              # time for which the functions of a job may report
    allowed_origins = ["https://app.example.com"]   # web pages of these origins may use the server, besides its own ("*": all). Left out on
                                    # loopback without authentication: http://localhost with the ports of the usual development servers
                                    # (3000, 3001, 4173, 4200, 4321, 5173, 5174, 8081)
    open_metrics = false            # whether /metrics needs no credentials; otherwise, with authentication, it needs an operator's or admin's
    attach_any_function = false     # whether processes may attach to the Runtime API under names that are not configured
    repair_every = "30s"            # interval at which watched jobs are read again, in case an event was lost

    [functions.resize]              # `resize`, or arn:aws:lambda:…:function:resize, in a state machine
    command = ["python3", "resize.py"]   # without it, outside processes attach to the Runtime API
    concurrency = 4                 # maximum of processes and so of concurrent invocations; by default the machine's cores, at least 4
    timeout = "15m"                 # maximum for one invocation
    init_timeout = "10s"            # maximum for a process until it asks for work
    environment = { LEVEL = "9" }   # besides Lambda's own variables
    pass_environment = ["DATABASE_URL"]   # variables of the server; by default only PATH, HOME, LANG, proxies and similar ones
    runtime_secret = false          # whether AWS_LAMBDA_RUNTIME_API has a path with a secret of each process; some runtime clients refuse it
    directory = "."                 # working directory

    [[auth.api_keys]]               # required if `listen` is not a loopback address
    sha256 = "0000000000000000000000000000000000000000000000000000000000000000"   # printf %s KEY | sha256sum
    subject = "my-backend"          # the owner of the jobs that it submits
    roles = ["submitter"]           # viewer, submitter, operator, admin, publisher

    [auth.oidc]                     # or several [[auth.oidc]]: callers with a token of this identity provider
    issuer = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_EXAMPLE"
    audience = "CLIENT ID"          # one of `aud`; or `client_id`, in an access token of Cognito or without `aud`
    jwks_url = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_EXAMPLE/.well-known/jwks.json"   # or jwks_file = "keys.json"
    subject_claim = "sub"           # the owner of the jobs that it submits
    owner_prefix = "acme|"          # prefix of that owner; with several providers the default is the issuer and |
    everybody = ["submitter"]       # roles of every such caller
    groups_claim = "cognito:groups" # or a JSON pointer, such as "/realm_access/roles"
    groups = { support = ["operator"] }   # roles of the members of a group

    [limits]
    connections = 100000            # maximum of sockets and streams in all
    connections_per_caller = 1000   # maximum of sockets and streams of one caller
    strangers_per_address = 50000   # maximum of connections of one address without valid credentials; by default half of all
    submits_per_second = 10000      # maximum of jobs of one caller; an idle caller may submit twice as many at once

    [broker]                        # for several nodes: they send each other changes through it
    url = "rediss://127.0.0.1:6379" # Valkey or Redis; redis:// without TLS
    prefix = "jobcast"              # prefix of its channels' names
    ca_file = "ca.pem"              # certificates of the authorities for rediss://; by default those of SSL_CERT_FILE and SSL_CERT_DIR,
                                    # otherwise the public authorities

    [intake]                        # queues whose messages become jobs: `jobcast enqueue`
    owner = "shop"                  # the owner of the jobs of the queue `default`; without it there is no such queue
    queues = { reports = "back-office" }   # further queues, each with the owner of its jobs
    max_receives = 5                # maximum of tries; then a message is a dead letter: `jobcast dlq list`
    visibility = "30s"              # time allowed for one try, and maximum delay before the next one

    [aws]                           # jobs in DynamoDB, executions in Step Functions, files in S3; a build with `--features aws`
    table = "jobs"                  # required; docs/guides/aws.md has its keys, indexes and stream
    state_machine_arn_prefix = "arn:aws:states:eu-west-1:123456789012:stateMachine:"   # required; names of job types follow
    region = "eu-west-1"            # by default the region of the ARN
    bucket = "jobs-files"           # bucket of the files; by default the directory `files` of `data`, which all nodes must share (EFS, NFS)
    endpoint_url = "http://127.0.0.1:4566"                  # address of all services, if not at AWS
    dynamodb_endpoint_url = "http://127.0.0.1:8000"         # address of DynamoDB and its streams
    step_functions_endpoint_url = "http://127.0.0.1:8083"   # address of Step Functions
    s3_endpoint_url = "http://127.0.0.1:9000"               # address of S3
    follow_stream = true            # whether this node reads the table's stream and publishes. A shard of a stream supports two readers:
                                    # with a broker, let one or two nodes follow it; the others receive changes through the broker
    steps = "read"                  # how the steps of jobs arrive: this node reads histories (read), or lambda-execution is given the log (pushed)
    sweep = true                    # whether this node looks for jobs whose start or end was lost; false if lambda-sweep does it
    secret = "at least 32 bytes, the same on every node"   # signs tokens and addresses; better set in JOBCAST_SECRET, which overrides it

    [services]                      # services that Task states may call besides functions
    region = "us-east-1"
    access_key_id = "…"             # by default AWS_ACCESS_KEY_ID and the other variables of the AWS SDKs
    secret_access_key = "…"
    dynamodb = "http://127.0.0.1:8000"
    sqs = "http://127.0.0.1:9324"
    buckets.reports = "reports"     # a directory that state machines use as a bucket
    reveal_secrets = false          # whether TestState may show what the connections below add to a request

    [services.connections.billing]  # arn:aws:events:…:connection/billing/… in a state machine
    allow = ["https://api.example.com/v1"]   # the only addresses that it may call
    headers = { authorization = "Bearer …" }
    query = { version = "2" }

  With [aws] nothing runs in the server: [functions], attach_any_function, [services], [intake], internal_listen and
  internal_secret_required are errors, and samples is false by default. Functions report to `public_url`. Credentials are those of the AWS SDKs: variables, profiles,
  the task's or the instance's role.

  A job type is a file NAME.asl.json in the directory of the state machines, with NAME.input.schema.json beside it to check inputs."#;

/// The example in the text: its indented lines.
#[cfg(test)]
pub(super) fn example() -> String {
    let lines = SETTINGS
        .lines()
        .filter_map(|line| line.strip_prefix("    "));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::File;
    use super::super::file::{SECTIONS, keys};
    use super::example;

    #[test]
    fn the_example_in_the_help_is_valid() {
        let file: File = toml::from_str(&example()).expect("what the help shows is valid");
        assert!(file.samples.is_some() && file.functions.contains_key("resize"));
    }

    #[test]
    fn the_example_in_the_help_has_every_key() {
        for table in SECTIONS {
            for name in keys(table) {
                let there = ["{} = ", "[{}]", "[{}.", "[[{}.", ".{}]", "{}.", ".{}."]
                    .iter()
                    .any(|form| example().contains(&form.replace("{}", &name)));
                assert!(there, "{table} {name} is not in the help");
            }
        }
    }
}
