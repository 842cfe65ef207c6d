//! The authorities whose certificates a broker with TLS may show. A broker in a company's network
//! often has a certificate of a private one.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::BrokerError;

/// Maximum size in bytes of all certificates together.
pub const CERTIFICATES_BYTES: usize = 4 * 1024 * 1024;
/// The begin of each certificate in a file.
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// The certificates, as PEM: those of `ca_file`, otherwise those of the variables `SSL_CERT_FILE`
/// and `SSL_CERT_DIR`. `None`: the public authorities that are built in. Variables that name no
/// certificate are passed over with a warning, since they are set for other programs too.
///
/// # Errors
/// [`BrokerError`]: `ca_file` cannot be read, or has no certificate.
pub fn find(
    ca_file: Option<&Path>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Vec<u8>>, BrokerError> {
    if let Some(path) = ca_file {
        let problem = |reason: String| BrokerError {
            reason: format!("ca_file of [broker], {}: {reason}", path.display()),
        };
        let text = std::fs::read(path);
        let text = text.map_err(|error| problem(format!("it cannot be read: {error}")))?;
        if !has_certificate(&text) {
            return Err(problem(
                "it has no certificate: it must be PEM, with `-----BEGIN CERTIFICATE-----`".into(),
            ));
        }
        if text.len() > CERTIFICATES_BYTES {
            return Err(problem(format!(
                "it has {} bytes, and the limit is {CERTIFICATES_BYTES}",
                text.len()
            )));
        }
        return Ok(Some(text));
    }
    let file = variable("SSL_CERT_FILE").map(PathBuf::from);
    let directory = variable("SSL_CERT_DIR").map(PathBuf::from);
    if file.is_none() && directory.is_none() {
        return Ok(None);
    }
    let mut all = Vec::new();
    for path in file
        .into_iter()
        .chain(directory.into_iter().flat_map(files_in))
    {
        match std::fs::read(&path) {
            Ok(text) if has_certificate(&text) && all.len() + text.len() < CERTIFICATES_BYTES => {
                all.extend_from_slice(&text);
                all.push(b'\n');
            }
            _ => {}
        }
    }
    if all.is_empty() {
        tracing::warn!(
            "SSL_CERT_FILE and SSL_CERT_DIR name no certificates; the broker's certificate must be of a public authority"
        );
        return Ok(None);
    }
    Ok(Some(all))
}

fn files_in(directory: PathBuf) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort_unstable();
    files
}

fn has_certificate(text: &[u8]) -> bool {
    text.windows(BEGIN.len()).any(|part| part == BEGIN)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const PEM: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    #[test]
    fn the_configured_file_comes_before_the_variables() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (mine, theirs, empty) = (path("a", PEM), path("b", &PEM.repeat(2)), path("c", ""));
        let none = |_: &str| None;
        assert_eq!(find(None, none).unwrap(), None);
        let found = find(Some(&mine), |_| Some(theirs.clone().into())).unwrap();
        assert_eq!(found.unwrap(), PEM.as_bytes());
        let file = |name: &str| (name == "SSL_CERT_FILE").then(|| theirs.clone().into());
        assert_eq!(find(None, file).unwrap().unwrap().len(), 2 * PEM.len() + 1);
        let all = |name: &str| (name == "SSL_CERT_DIR").then(|| directory.path().into());
        assert_eq!(find(None, all).unwrap().unwrap().len(), 3 * PEM.len() + 2);
        let nowhere = |_: &str| Some("/nowhere".into());
        assert_eq!(find(None, nowhere).unwrap(), None);
        let error = find(Some(&empty), none).unwrap_err().to_string();
        assert!(error.contains("it has no certificate"), "{error}");
        let error = find(Some(Path::new("/nowhere")), none).unwrap_err();
        assert!(error.to_string().contains("cannot be read"), "{error}");
    }

    #[test]
    fn certificates_may_be_as_large_as_the_limit_and_no_larger() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let none = |_: &str| None;
        let text = format!("{PEM}{}", " ".repeat(CERTIFICATES_BYTES - PEM.len()));
        std::fs::write(&path, &text).unwrap();
        assert!(find(Some(&path), none).is_ok());
        std::fs::write(&path, format!("{text} ")).unwrap();
        let error = find(Some(&path), none).unwrap_err();
        assert!(error.to_string().contains("the limit is"), "{error}");
    }
}
