//! Hashes by the algorithm names of `States.Hash` and `$hash`. They are not for secrets: MD5 and
//! SHA-1 are among them.

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

/// The digest in lower-case hexadecimal.
///
/// The error lists the algorithms if `algorithm` is none of them.
pub(crate) fn hex(algorithm: &str, data: &[u8]) -> Result<String, String> {
    let bytes = match algorithm {
        "MD5" => Md5::digest(data).to_vec(),
        "SHA-1" => Sha1::digest(data).to_vec(),
        "SHA-256" => Sha256::digest(data).to_vec(),
        "SHA-384" => Sha384::digest(data).to_vec(),
        "SHA-512" => Sha512::digest(data).to_vec(),
        other => {
            return Err(format!(
                "{other} is not one of MD5, SHA-1, SHA-256, SHA-384 and SHA-512"
            ));
        }
    };
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}
