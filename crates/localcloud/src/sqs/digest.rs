//! The MD5 digests of bodies and message attributes, which SDKs verify. Source: "Amazon SQS message
//! metadata", calculating the MD5 message digest for message attributes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde_json::Value;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The digest of a body.
pub(super) fn body(text: &str) -> String {
    hex(&Md5::digest(text.as_bytes()))
}

/// The digest of message attributes; `None` when there are none.
pub(super) fn attributes(attributes: &Value) -> Option<String> {
    let fields = attributes.as_object().filter(|fields| !fields.is_empty())?;
    let mut names: Vec<&String> = fields.keys().collect();
    names.sort();
    let mut digest = Md5::new();
    for name in names {
        let value = &fields[name];
        add(&mut digest, name.as_bytes());
        add(
            &mut digest,
            value["DataType"].as_str().unwrap_or_default().as_bytes(),
        );
        // The transport type: 1 for texts, 2 for binary values.
        if let Some(text) = value["StringValue"].as_str() {
            digest.update([1]);
            add(&mut digest, text.as_bytes());
        } else {
            let binary = value["BinaryValue"].as_str().unwrap_or_default();
            digest.update([2]);
            add(&mut digest, &STANDARD.decode(binary).unwrap_or_default());
        }
    }
    Some(hex(&digest.finalize()))
}

/// A part with its length before it.
fn add(digest: &mut Md5, part: &[u8]) {
    let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
    digest.update(length.to_be_bytes());
    digest.update(part);
}
