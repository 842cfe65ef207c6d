//! What `serve --help` says about the file. It is itself such a file, which a test reads: no key is missing, and each means what it says.

/// Every key of the file, below the flags.
pub const SETTINGS: &str = r#"Configuration:
  A flag wins over its variable, and both win over the file. Every key of the file may be left out; a key that is not known is an error.
  Paths in the file begin where the file is.

    # the flags' names, with their values from above
    listen = "127.0.0.1:8080"
    internal_listen = "127.0.0.1:0"
    internal_secret_required = true # whether requests to it must show DATA/internal.key, which is new at each start: as the first part of the
                                    # path, as `Authorization: Bearer`, or as the access key id. Left out: when there is authentication
    data = "data"
    state_machines = "state-machines"
    public_url = "https://jobs.example.com"
    log = "info"
    log_format = "text"
    chaos = "drop=0.05"

    samples = true                  # whether the sample job types are served: thumbnails, csv-report, approval
    sample_addresses = ["https://pictures.example.com/"]   # what the samples read besides files of this server
    retention = "30d"               # how long finished jobs are kept. Files of their input and result go with them, but not within the
                                    # 7 days of their addresses; other files 7 days after this time, in a bucket by its own rules
    report_life = "7d"              # how long the functions of a job may report
    allowed_origins = ["https://app.example.com"]   # web pages of these origins may use the server, besides its own ("*": all). Left out on
                                    # loopback without authentication: http://localhost with the ports of the usual development servers
                                    # (3000, 3001, 4173, 4200, 4321, 5173, 5174, 8081)
    open_metrics = false            # whether /metrics needs no credentials; else an operator's or admin's once there is authentication
    attach_any_function = false     # whether processes may attach to the Runtime API under names that are not configured
    repair_every = "30s"            # how often watched jobs are read again, in case news of them got lost

    [functions.resize]              # `resize`, or arn:aws:lambda:…:function:resize, in a state machine
    command = ["python3", "resize.py"]   # left out: outside processes attach to the Runtime API
    concurrency = 4                 # processes at most, and so invocations at once; left out: the cores of the machine, at least 4
    timeout = "15m"                 # for one invocation
    init_timeout = "10s"            # for a process until it asks for work
    environment = { LEVEL = "9" }   # besides Lambda's own variables
    pass_environment = ["DATABASE_URL"]   # variables of the server; without it only PATH, HOME, LANG, proxies and the like
    runtime_secret = false          # whether AWS_LAMBDA_RUNTIME_API has a path with a secret of each process. Not every runtime client takes one
    directory = "."                 # where it runs

    [[auth.api_keys]]               # needed as soon as `listen` is not a loopback address
    sha256 = "0000000000000000000000000000000000000000000000000000000000000000"   # printf %s KEY | sha256sum
    subject = "my-backend"          # the owner of what it submits
    roles = ["submitter"]           # viewer, submitter, operator, admin, publisher

    [auth.oidc]                     # or several [[auth.oidc]]: who brings a token of this identity provider
    issuer = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_EXAMPLE"
    audience = "CLIENT ID"          # one of `aud`, or `client_id` where a token has no `aud`
    jwks_url = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_EXAMPLE/.well-known/jwks.json"   # or jwks_file = "keys.json"
    subject_claim = "sub"           # the owner of what it submits
    owner_prefix = "acme|"          # before that owner; of several providers each has one, its issuer and | unless it is given
    everybody = ["submitter"]       # roles of all who bring one
    groups_claim = "cognito:groups" # or a JSON pointer, such as "/realm_access/roles"
    groups = { support = ["operator"] }   # roles of those in a group

    [limits]
    connections = 100000            # sockets and streams in all
    connections_per_caller = 1000   # those of one caller
    strangers_per_address = 50000   # open connections of one address that have not shown valid credentials; else half of all
    submits_per_second = 10000      # jobs of one caller; twice as many after a silence

    [broker]                        # for several nodes: what they tell each other about changes goes through it
    url = "redis://127.0.0.1:6379"  # Valkey or Redis; rediss:// for TLS
    prefix = "jobcast"              # of its channels' names

    [aws]                           # jobs in DynamoDB, executions in Step Functions, files in S3; a build with `--features aws`
    table = "jobs"                  # needed; docs/guides/aws.md has its keys, indexes and stream
    state_machine_arn_prefix = "arn:aws:states:eu-west-1:123456789012:stateMachine:"   # needed; names of job types follow
    region = "eu-west-1"            # else the one of the ARN
    bucket = "jobs-files"           # of the files; left out: the directory `files` of `data`, which all nodes must share (EFS, NFS)
    endpoint_url = "http://127.0.0.1:4566"                  # of all services, when not at AWS
    dynamodb_endpoint_url = "http://127.0.0.1:8000"         # of DynamoDB and its streams, when not there
    step_functions_endpoint_url = "http://127.0.0.1:8083"   # of Step Functions, when not there
    s3_endpoint_url = "http://127.0.0.1:9000"               # of S3, when not there
    follow_stream = true            # whether this node reads the table's stream and publishes. A shard of a stream bears two readers:
                                    # with a broker one or two nodes follow it, and the others hear by the broker
    secret = "at least 32 bytes, the same on every node"   # signs tokens and addresses; JOBCAST_SECRET wins, and is its better place

    [services]                      # what Task states may call besides functions
    region = "us-east-1"
    access_key_id = "…"             # else AWS_ACCESS_KEY_ID and its like
    secret_access_key = "…"
    dynamodb = "http://127.0.0.1:8000"
    sqs = "http://127.0.0.1:9324"
    buckets.reports = "reports"     # a directory that state machines know as a bucket
    reveal_secrets = false          # whether TestState may show what the connections below add to a request

    [services.connections.billing]  # arn:aws:events:…:connection/billing/… in a state machine
    allow = ["https://api.example.com/v1"]   # it may call nothing else
    headers = { authorization = "Bearer …" }
    query = { version = "2" }

  With [aws] nothing runs in the server: [functions], attach_any_function, [services], internal_listen and internal_secret_required are
  errors, samples is false unless it is said to be true. Functions report to `public_url`. Credentials come from where the AWS SDKs look for them: variables, profiles, the
  task's or the instance's role.

  A job type is a file NAME.asl.json in the directory of the state machines, with NAME.input.schema.json beside it to check inputs."#;

#[cfg(test)]
mod tests {
    use super::super::File;
    use super::super::file::{SECTIONS, keys};
    use super::SETTINGS;

    /// The indented lines.
    fn example() -> String {
        let lines = SETTINGS
            .lines()
            .filter_map(|line| line.strip_prefix("    "));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_help_is_a_configuration() {
        let file: File = toml::from_str(&example()).expect("what the help shows is valid");
        assert!(file.samples.is_some() && file.functions.contains_key("resize"));
    }

    #[test]
    fn the_help_has_every_key() {
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
