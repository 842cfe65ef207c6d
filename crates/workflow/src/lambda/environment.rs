//! What a function's process has in its environment: Lambda's own variables, a few of the server's,
//! and what the configuration gives. Nothing else of the server's environment reaches it, since
//! that may hold secrets.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use jiff::Timestamp;

use super::function::Function;
use super::settings::{FunctionConfig, HostSettings};

/// Variables of the server that every function gets: how programs and libraries are found, who and
/// where the user is, language, certificates, proxies. `LC_…` besides.
pub const PASSED: [&str; 32] = [
    "ALL_PROXY",
    "DYLD_LIBRARY_PATH",
    "GEM_PATH",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "JAVA_HOME",
    "LANG",
    "LANGUAGE",
    "LD_LIBRARY_PATH",
    "LOGNAME",
    "NODE_EXTRA_CA_CERTS",
    "NODE_PATH",
    "NO_PROXY",
    "PATH",
    "PYTHONPATH",
    "REQUESTS_CA_BUNDLE",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "SHELL",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TEMP",
    "TMP",
    "TMPDIR",
    "USER",
    "VIRTUAL_ENV",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "XDG_CACHE_HOME",
];
/// Where programs are looked for when the server has no `PATH`.
pub const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// Memory of a function in MiB, as its environment says it. Nothing enforces it.
pub(super) const MEMORY: &str = "1024";
/// Names of this machine, which are never asked for through a proxy.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

type Environment = BTreeMap<OsString, OsString>;

/// The whole environment of a process.
pub(super) fn environment(
    function: &Function,
    config: &FunctionConfig,
    settings: &HostSettings,
    runtime_api: &str,
) -> Environment {
    let mut all = of_server(&config.pass_environment, std::env::vars_os());
    all.entry("PATH".into())
        .or_insert_with(|| DEFAULT_PATH.into());
    let region = ["AWS_REGION", "AWS_DEFAULT_REGION"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|region| !region.is_empty()))
        .unwrap_or_else(|| settings.region.clone());
    all.extend(reserved(function, config, &region));
    let own = config.environment.iter();
    all.extend(own.map(|(name, value)| (name.into(), value.into())));
    for name in ["NO_PROXY", "no_proxy"] {
        let before = all.get(OsStr::new(name)).cloned().unwrap_or_default();
        all.insert(name.into(), no_proxy(&before, &settings.direct_hosts));
    }
    all.insert("AWS_LAMBDA_RUNTIME_API".into(), runtime_api.into());
    all
}

/// The variables of the server that pass.
fn of_server(also: &[String], server: impl Iterator<Item = (OsString, OsString)>) -> Environment {
    let passes = |name: &OsStr| {
        name.to_str().is_some_and(|name| {
            PASSED.contains(&name)
                || name.starts_with("LC_")
                || also.iter().any(|other| other == name)
        })
    };
    server.filter(|(name, _)| passes(name)).collect()
}

/// Lambda's variables (Lambda developer guide, "Working with Lambda environment variables":
/// reserved ones, and those that it sets besides), without credentials: there is no execution role
/// here.
fn reserved(
    function: &Function,
    config: &FunctionConfig,
    region: &str,
) -> impl Iterator<Item = (OsString, OsString)> + use<> {
    let directory = config.directory.clone().unwrap_or_default();
    let root = std::path::absolute(&directory)
        .or_else(|_| std::env::current_dir())
        .unwrap_or(PathBuf::from("/"));
    // The handler is what a runtime client gets as its last argument.
    let handler = config.command.last().cloned().unwrap_or_default();
    let stream = format!(
        "{}/[$LATEST]{:032x}",
        Timestamp::now().strftime("%Y/%m/%d"),
        rand::random::<u128>()
    );
    let group = format!("/aws/lambda/{}", function.name);
    [
        ("_HANDLER", handler.into()),
        ("AWS_DEFAULT_REGION", region.into()),
        ("AWS_REGION", region.into()),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_provided".into()),
        ("AWS_LAMBDA_FUNCTION_NAME", OsString::from(&*function.name)),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".into()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", MEMORY.into()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".into()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", group.into()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", stream.into()),
        ("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR".into()),
        ("LAMBDA_TASK_ROOT", root.into_os_string()),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime".into()),
        ("TZ", OsString::from(":UTC")),
    ]
    .into_iter()
    .map(|(name, value): (&str, OsString)| (name.into(), value))
}

/// The list of hosts without a proxy, with this machine in it: the Runtime API is here, and so is
/// where functions report to.
fn no_proxy(before: &OsStr, direct: &[String]) -> OsString {
    let before = before.to_string_lossy();
    let before = before.trim();
    if before == "*" {
        return before.into();
    }
    let mut hosts: Vec<&str> = before
        .split(',')
        .map(str::trim)
        .filter(|host| !host.is_empty())
        .collect();
    for host in LOOPBACK
        .into_iter()
        .chain(direct.iter().map(String::as_str))
    {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts.join(",").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_variables_of_the_server_pass() {
        let server = [
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("JOBCAST_SECRET", "s"),
            ("MINE", "1"),
            ("MINE_TOO", "2"),
        ];
        let server = server.map(|(name, value)| (name.into(), value.into()));
        let passed = of_server(&["MINE".to_owned()], server.into_iter());
        let names: Vec<_> = passed.keys().map(|name| name.to_str().unwrap()).collect();
        assert_eq!(names, ["LC_ALL", "MINE", "PATH"]);
    }

    #[test]
    fn this_machine_is_never_behind_a_proxy() {
        for (before, direct, after) in [
            ("", vec![], "localhost,127.0.0.1,::1"),
            ("*", vec!["10.0.0.1"], "*"),
            (
                " example.com, localhost,",
                vec!["10.0.0.1"],
                "example.com,localhost,127.0.0.1,::1,10.0.0.1",
            ),
        ] {
            let direct: Vec<String> = direct.into_iter().map(str::to_owned).collect();
            assert_eq!(no_proxy(OsStr::new(before), &direct), OsString::from(after));
        }
    }
}
