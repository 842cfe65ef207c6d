//! A value on both sides of each rule.

use super::super::ServeFlags;
use super::super::tests::load;
use super::RULES;

const KEY: &str = "[[auth.api_keys]]\nsha256 = \"1111111111111111111111111111111111111111111111111111111111111111\"\n";
const AWS: &str = "[aws]\nstate_machine_arn_prefix = \"arn:aws:states:eu-west-1:123456789012:stateMachine:\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n";

/// The rule, a refused value with a part of the sentence, and an accepted value next to it.
fn table() -> Vec<(&'static str, String, &'static str, String)> {
    let case = |rule, bad: &str, said, good: &str| (rule, bad.to_owned(), said, good.to_owned());
    let key = |rest: &str| format!("{KEY}{rest}");
    let aws = |rest: &str| format!("{AWS}{rest}");
    let long = "a".repeat(64);
    vec![
        case(
            "listen, internal_listen",
            "listen = \"127.0.0.1:7001\"\ninternal_listen = \"127.0.0.1:7001\"",
            "both cannot have port 7001",
            "listen = \"127.0.0.1:7001\"\ninternal_listen = \"127.0.0.1:7002\"",
        ),
        case(
            "retention",
            "retention = \"59s\"",
            "retention is 59s",
            "retention = \"60s\"",
        ),
        case(
            "retention",
            "retention = \"36526d\"",
            "and it must be from 1m to",
            "retention = \"36525d\"",
        ),
        case(
            "report_life",
            "report_life = \"0s\"",
            "report_life is 0s",
            "report_life = \"1m\"",
        ),
        case(
            "report_life",
            "report_life = \"367d\"",
            "report_life is",
            "report_life = \"366d\"",
        ),
        case(
            "repair_every",
            "repair_every = \"99ms\"",
            "repair_every is 99ms",
            "repair_every = \"100ms\"",
        ),
        case(
            "repair_every",
            "repair_every = \"25h\"",
            "repair_every is 1day 1h",
            "repair_every = \"24h\"",
        ),
        case(
            "stop_delay",
            "stop_delay = \"601s\"",
            "stop_delay is 10m 1s, and it must be from 0s to 10m",
            "stop_delay = \"10m\"",
        ),
        case(
            "operations_listen",
            "listen = \"127.0.0.1:7001\"\noperations_listen = \"0.0.0.0:7001\"",
            "both cannot have port 7001",
            "listen = \"127.0.0.1:7001\"\noperations_listen = \"0.0.0.0:7002\"",
        ),
        case(
            "operations_listen",
            "internal_listen = \"127.0.0.1:7001\"\noperations_listen = \"127.0.0.1:7001\"",
            "internal_listen is 127.0.0.1:7001",
            "internal_listen = \"127.0.0.1:7001\"\noperations_listen = \"127.0.0.1:0\"",
        ),
        case(
            "intake",
            "[intake]\nqueues = { \"a b\" = \"x\" }",
            "the queue \"a b\"",
            "[intake]\nqueues = { a-b_1 = \"x\" }",
        ),
        case(
            "intake",
            &format!("[intake.queues]\n{} = \"x\"", "q".repeat(81)),
            "a name has 1 to 80",
            &format!("[intake.queues]\n{} = \"x\"", "q".repeat(80)),
        ),
        case(
            "intake",
            "[intake]\nowner = \"x\"\nqueues = { default = \"x\" }",
            "queues has that queue too",
            "[intake]\nowner = \"x\"\nqueues = { other = \"x\" }",
        ),
        case(
            "intake",
            &format!("[intake]\nowner = \"{}\"", "o".repeat(257)),
            "an owner of 257 bytes",
            &format!("[intake]\nowner = \"{}\"", "o".repeat(256)),
        ),
        case(
            "intake",
            "[intake]\nmax_receives = 5",
            "has no queue",
            "[intake]\nowner = \"x\"\nmax_receives = 5",
        ),
        case(
            "intake",
            "[intake]\nowner = \"x\"\nmax_receives = 0",
            "max_receives of [intake] is 0",
            "[intake]\nowner = \"x\"\nmax_receives = 1",
        ),
        case(
            "intake",
            "[intake]\nowner = \"x\"\nmax_receives = 1001",
            "from 1 to 1000",
            "[intake]\nowner = \"x\"\nmax_receives = 1000",
        ),
        case(
            "intake",
            "[intake]\nowner = \"x\"\nvisibility = \"999ms\"",
            "visibility of [intake] is 999ms",
            "[intake]\nowner = \"x\"\nvisibility = \"1s\"",
        ),
        case(
            "intake",
            "[intake]\nowner = \"x\"\nvisibility = \"13h\"",
            "from 1s to 12h",
            "[intake]\nowner = \"x\"\nvisibility = \"12h\"",
        ),
        case(
            "data, state_machines",
            "data = \".\"\nstate_machines = \"machines\"",
            "inside of data",
            "data = \"data\"\nstate_machines = \"machines\"",
        ),
        case(
            "sample_addresses, samples",
            "samples = false\nsample_addresses = [\"https://a.example/\"]",
            "samples is false",
            "samples = true\nsample_addresses = [\"https://a.example/\"]",
        ),
        case(
            "sample_addresses",
            "sample_addresses = [\"pictures\"]",
            "sample_addresses: \"pictures\" is not an address",
            "sample_addresses = [\"https://a.example/pictures/\"]",
        ),
        case(
            "limits",
            "[limits]\nconnections = 0",
            "connections of [limits] is 0",
            "[limits]\nconnections = 1\nconnections_per_caller = 1",
        ),
        case(
            "limits",
            "[limits]\nconnections_per_caller = 0",
            "connections_per_caller of [limits] is 0",
            "[limits]\nconnections_per_caller = 1",
        ),
        case(
            "limits",
            "[limits]\nconnections = 5\nconnections_per_caller = 6",
            "more than all connections together (5)",
            "[limits]\nconnections = 6\nconnections_per_caller = 6",
        ),
        case(
            "broker.prefix",
            "[broker]\nprefix = \"a\"",
            "prefix of [broker] is set and url is not",
            "[broker]\nprefix = \"a\"\nurl = \"redis://127.0.0.1:1\"",
        ),
        case(
            "broker.prefix",
            "[broker]\nprefix = \"a*\"\nurl = \"redis://127.0.0.1:1\"",
            "prefix of [broker] is `a*`",
            "[broker]\nprefix = \"a-1_b.c:d\"\nurl = \"redis://127.0.0.1:1\"",
        ),
        case(
            "broker.prefix",
            &format!("[broker]\nprefix = \"{long}a\"\nurl = \"redis://127.0.0.1:1\""),
            "1 to 64 letters",
            &format!("[broker]\nprefix = \"{long}\"\nurl = \"redis://127.0.0.1:1\""),
        ),
        case(
            "broker.ca_file",
            "[broker]\nca_file = \"ca.pem\"\nurl = \"redis://127.0.0.1:1\"",
            "url does not begin with rediss://",
            "[broker]\nca_file = \"ca.pem\"\nurl = \"rediss://127.0.0.1:1\"",
        ),
        case(
            "auth.api_keys",
            &format!(
                "{0}subject = \"a\"\nroles = [\"viewer\"]\n{0}subject = \"b\"\nroles = [\"viewer\"]",
                KEY
            ),
            "number 2 of [[auth.api_keys]] (subject `b`) is the same key",
            &format!(
                "{0}subject = \"a\"\nroles = [\"viewer\"]\n{1}subject = \"a\"\nroles = [\"viewer\"]",
                KEY,
                KEY.replace("11", "22")
            ),
        ),
        case(
            "auth.api_keys",
            "[[auth.api_keys]]\nsha256 = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\nsubject = \"a\"\nroles = [\"viewer\"]",
            "SHA-256 of an empty text",
            &key("subject = \"a\"\nroles = [\"viewer\"]"),
        ),
        case(
            "auth.api_keys",
            &key("subject = \"\"\nroles = [\"viewer\"]"),
            "cannot be an owner",
            &key("subject = \"é\"\nroles = [\"viewer\"]"),
        ),
        case(
            "auth.api_keys",
            &key(&format!(
                "subject = \"{}\"\nroles = [\"viewer\"]",
                "a".repeat(257)
            )),
            "1 to 256 bytes",
            &key(&format!(
                "subject = \"{}\"\nroles = [\"viewer\"]",
                "a".repeat(256)
            )),
        ),
        case(
            "auth.api_keys",
            &key("subject = \"a\"\nroles = []"),
            "has no roles",
            &key("subject = \"a\"\nroles = [\"admin\"]"),
        ),
        case(
            "auth.api_keys",
            &key("subject = \"a\"\nroles = [\"viewer\", \"viewer\"]"),
            "has a role twice",
            &key("subject = \"a\"\nroles = [\"viewer\", \"submitter\"]"),
        ),
        case(
            "functions",
            "[functions.\"a b\"]\ncommand = [\"x\"]",
            "[functions.\"a b\"]: a function's name",
            "[functions.a-b_1]\ncommand = [\"x\"]",
        ),
        case(
            "functions",
            &format!("[functions.{long}a]\ncommand = [\"x\"]"),
            "1 to 64 letters",
            &format!("[functions.{long}]\ncommand = [\"x\"]"),
        ),
        case(
            "functions",
            "[functions.a]\ncommand = [\"\"]",
            "first part of command is empty",
            "[functions.a]\ncommand = [\"x\", \"\"]",
        ),
        case(
            "functions",
            "[functions.a]\ncommand = [\"x\"]\nconcurrency = 0",
            "concurrency",
            "[functions.a]\ncommand = [\"x\"]\nconcurrency = 1",
        ),
        case(
            "functions",
            "[functions.a]\ncommand = [\"x\"]\nconcurrency = 1001",
            "from 1 to 1000",
            "[functions.a]\ncommand = [\"x\"]\nconcurrency = 1000",
        ),
        case(
            "functions",
            "[functions.a]\ncommand = [\"x\"]\ntimeout = \"0s\"",
            "timeout must be from 1ms to 15m",
            "[functions.a]\ncommand = [\"x\"]\ntimeout = \"1ms\"",
        ),
        case(
            "functions",
            "[functions.a]\ncommand = [\"x\"]\ntimeout = \"901s\"",
            "timeout must be from 1ms to 15m",
            "[functions.a]\ncommand = [\"x\"]\ntimeout = \"900s\"",
        ),
        case(
            "functions",
            "[functions.a]\nconcurrency = 2",
            "there is no command",
            "[functions.a]",
        ),
        case(
            "functions",
            "[functions.a]\ncommand = [\"x\"]\ninit_timeout = \"0s\"",
            "init_timeout",
            "[functions.a]\ncommand = [\"x\"]\ninit_timeout = \"1ms\"",
        ),
        case(
            "functions",
            "[functions.a]\npass_environment = [\"A\"]",
            "there is no command",
            "[functions.a]\ncommand = [\"x\"]\npass_environment = [\"A\"]",
        ),
        case(
            "functions",
            "[functions.a]\nenvironment = { A = \"1\" }",
            "there is no command",
            "[functions.a]\ncommand = [\"x\"]\nenvironment = { A = \"1\" }",
        ),
        case(
            "functions",
            "[functions.a]\ncommand = [\"x\"]\nenvironment = { \"A=B\" = \"1\" }",
            "`A=B` cannot be the name of a variable",
            "[functions.a]\ncommand = [\"x\"]\nenvironment = { \"A-B\" = \"1=2\" }",
        ),
        case(
            "functions",
            "[functions.a]\ncommand = [\"x\"]\nenvironment = { A = \"\\u0000\" }",
            "NUL",
            "[functions.a]\ncommand = [\"x\"]\nenvironment = { A = \"\\u0001\" }",
        ),
        case(
            "functions",
            "[functions.a]\ncommand = [\"x\"]\ndirectory = \"nowhere\"",
            "there is no such directory",
            "[functions.a]\ncommand = [\"x\"]\ndirectory = \"machines\"",
        ),
        case(
            "functions",
            "[functions.a]\ncommand = [\"x\"]\ninit_timeout = \"0s\"",
            "init_timeout",
            "[functions.a]\ncommand = [\"x\"]\ninit_timeout = \"15m\"",
        ),
        case(
            "functions",
            "[functions.a]\ncommand = [\"x\"]\npass_environment = [\"A=1\"]",
            "`A=1` cannot be the name of a variable",
            "[functions.a]\ncommand = [\"x\"]\npass_environment = [\"A\"]",
        ),
        case(
            "functions",
            "[functions.a]\ncommand = [\"x\"]\nenvironment = { AWS_LAMBDA_RUNTIME_API = \"x\" }",
            "which the server sets",
            "[functions.a]\ncommand = [\"x\"]\nenvironment = { AWS_REGION = \"x\" }",
        ),
        case(
            "functions, one name twice",
            "[functions.a]\ncommand = [\"x\"]\n[functions.\"arn:aws:lambda:us-east-1:123456789012:function:a:live\"]\ncommand = [\"x\"]",
            "`a` is configured twice",
            "[functions.a]\ncommand = [\"x\"]\n[functions.\"arn:aws:lambda:us-east-1:123456789012:function:b\"]\ncommand = [\"x\"]",
        ),
        case(
            "services",
            "[services]\naccess_key_id = \"a\"",
            "they go together",
            "[services]\naccess_key_id = \"a\"\nsecret_access_key = \"b\"",
        ),
        case(
            "services",
            "[services]\nsecret_access_key = \"a\"",
            "they go together",
            "[services]\n",
        ),
        case(
            "services",
            "[services]\nregion = \"\"",
            "region of [services]",
            "[services]\nregion = \"eu-west-1\"",
        ),
        case(
            "services.buckets",
            "[services.buckets]\nuploads = \"x\"",
            "uploads of services.buckets",
            "[services.buckets]\nupload = \"x\"",
        ),
        case(
            "services.buckets",
            "data = \"data\"\n[services.buckets]\na = \"data/files\"",
            "reach the data directory",
            "data = \"data\"\n[services.buckets]\na = \"data-of-a\"",
        ),
        case(
            "services.buckets",
            "data = \"store/data\"\n[services.buckets]\na = \"x/../store\"",
            "reach the data directory",
            "data = \"store/data\"\n[services.buckets]\na = \"store/a\"",
        ),
        case(
            "services.connections",
            "[services.connections.a]",
            "allow is empty",
            "[services.connections.a]\nallow = [\"https://a.example/\"]",
        ),
        case(
            "services.connections",
            "[services.connections.a]\nallow = [\"https://a.example/\"]\nheaders = { authorization = \"a\\nb\" }",
            "header `authorization` cannot be sent",
            "[services.connections.a]\nallow = [\"https://a.example/\"]\nheaders = { authorization = \"a b\" }",
        ),
        case(
            "aws",
            &aws("table = \"a/b\""),
            "table of [aws] is `a/b`",
            &aws("table = \"a-b\""),
        ),
        case(
            "aws",
            &aws("table = \"ab\""),
            "3 to 255 letters",
            &aws("table = \"abc\""),
        ),
        case(
            "aws",
            &aws("table = \"abc\"\nregion = \"\""),
            "region of [aws]",
            &aws("table = \"abc\"\nregion = \"us-east-1\""),
        ),
        case(
            "aws",
            &aws("table = \"abc\"\nbucket = \"A_b\""),
            "bucket of [aws] is `A_b`",
            &aws("table = \"abc\"\nbucket = \"a.b-c\""),
        ),
    ]
}

#[test]
fn each_rule_has_its_bounds_and_names_its_settings() {
    for (rule, bad, said, good) in table() {
        let error = load(&bad, ServeFlags::default()).expect_err(&bad);
        assert!(error.contains(said), "{rule}: {bad}: {error}");
        let taken = load(&good, ServeFlags::default());
        assert!(taken.is_ok(), "{rule}: {good}: {:?}", taken.err());
    }
}

#[test]
fn every_rule_has_a_test() {
    for (name, _) in RULES {
        assert!(table().iter().any(|(rule, ..)| rule == name), "{name}");
    }
}
