//! AWS Signature Version 4 of a request without a query, in its `Authorization` header. It sends
//! nothing.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::Credentials;

/// What is signed.
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    /// The path as it is sent.
    pub(super) path: &'a str,
    /// Lower-case names with their values; `host` must be among them. `x-amz-date` is added.
    pub(super) headers: Vec<(&'a str, &'a str)>,
    pub(super) body: &'a [u8],
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

/// The headers that make it a signed request: `x-amz-date` and `authorization`, and the session's
/// token.
pub(super) fn headers(
    request: Signed<'_>,
    credentials: &Credentials,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let date = &time[..8];
    let mut signed = request.headers;
    signed.push(("x-amz-date", &time));
    if let Some(token) = &credentials.session_token {
        signed.push(("x-amz-security-token", token));
    }
    signed.sort_unstable();
    let names = signed
        .iter()
        .map(|(name, _)| *name)
        .collect::<Vec<_>>()
        .join(";");
    let lines = signed
        .iter()
        .fold(String::new(), |mut lines, (name, value)| {
            let _ = writeln!(lines, "{name}:{}", value.trim());
            lines
        });
    let canonical = format!(
        "{}\n{}\n\n{lines}\n{names}\n{}",
        request.method,
        request.path,
        hex(&Sha256::digest(request.body))
    );
    let scope = format!("{date}/{}/{}/aws4_request", request.region, request.service);
    let text = format!(
        "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
        hex(&Sha256::digest(canonical.as_bytes()))
    );
    let mut key = format!("AWS4{}", credentials.secret_key).into_bytes();
    for part in [date, request.region, request.service, "aws4_request"] {
        key = mac(&key, part);
    }
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
        credentials.access_key,
        hex(&mac(&key, &text))
    );
    let token = credentials.session_token.clone();
    let mut headers = vec![("authorization", authorization)];
    headers.extend(token.map(|token| ("x-amz-security-token", token)));
    headers.push(("x-amz-date", time));
    headers
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `get-vanilla` and `post-vanilla` of AWS's published test suite for Signature Version 4.
    #[test]
    fn the_published_examples() {
        let credentials = Credentials {
            access_key: "AKIDEXAMPLE".to_owned(),
            secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: None,
        };
        for (method, signature) in [
            (
                "GET",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                "POST",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
        ] {
            let request = Signed {
                method,
                path: "/",
                headers: vec![("host", "example.amazonaws.com")],
                body: b"",
                region: "us-east-1",
                service: "service",
            };
            let headers = headers(
                request,
                &credentials,
                "2015-08-30T12:36:00Z".parse().unwrap(),
            );
            assert_eq!(
                headers[0].1,
                format!(
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                     SignedHeaders=host;x-amz-date, Signature={signature}"
                )
            );
        }
    }
}
