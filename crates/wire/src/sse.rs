//! Encoders of the HTTP doors: GraphQL over SSE (distinct connections mode of
//! enisdenjo/graphql-sse's PROTOCOL.md) and Apollo's multipart subscriptions
//! (`subscriptionSpec=1.0`).
//!
//! They only wrap prepared payloads. The HTTP edge decides which response carries them.

/// Content type of an event stream.
pub const CONTENT_TYPE: &str = "text/event-stream";

/// Appends a `next` event. A client that reconnects sends `id` as `Last-Event-ID`. The payload is
/// JSON text on one line (serialized JSON escapes line breaks in strings), so one `data:` line is
/// enough.
pub fn next(id: Option<u64>, payload: &[u8], out: &mut Vec<u8>) {
    debug_assert!(
        !payload.iter().any(|byte| matches!(byte, b'\n' | b'\r')),
        "serialized JSON is one line"
    );
    out.extend_from_slice(b"event: next\n");
    if let Some(id) = id {
        out.extend_from_slice(format!("id: {id}\n").as_bytes());
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(payload);
    out.extend_from_slice(b"\n\n");
}

/// The end of the operation. It has a `data` field, without which browsers drop the event.
pub const COMPLETE: &[u8] = b"event: complete\ndata:\n\n";

/// A comment: opens the stream, and keeps proxies from closing an idle one.
pub const KEEP_ALIVE: &[u8] = b":\n\n";

/// Content type of a multipart subscription.
pub const MULTIPART_CONTENT_TYPE: &str =
    "multipart/mixed;boundary=\"graphql\";subscriptionSpec=1.0";

/// Opens a multipart subscription. Each part is followed by its delimiter at once: a client
/// processes a part only after it has read the next delimiter.
pub const MULTIPART_OPEN: &[u8] = b"\r\n--graphql";

/// Appends one part of a multipart subscription.
pub fn part(payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\ncontent-type: application/json\r\n\r\n{\"payload\":");
    out.extend_from_slice(payload);
    out.extend_from_slice(b"}\r\n--graphql");
}

/// Appends the part that reports a failure of the transport, not of the operation. The end follows
/// it. `errors` is a JSON array of GraphQL errors.
pub fn part_failed(errors: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(
        b"\r\ncontent-type: application/json\r\n\r\n{\"payload\":null,\"errors\":",
    );
    out.extend_from_slice(errors.as_bytes());
    out.extend_from_slice(b"}\r\n--graphql");
}

/// The heartbeat of a multipart subscription.
pub const MULTIPART_KEEP_ALIVE: &[u8] =
    b"\r\ncontent-type: application/json\r\n\r\n{}\r\n--graphql";

/// The end of a multipart subscription.
pub const MULTIPART_END: &[u8] = b"--\r\n";

#[cfg(test)]
mod tests {
    #[test]
    fn an_event_ends_with_an_empty_line() {
        let mut out = Vec::new();
        super::next(Some(7), br#"{"data":1}"#, &mut out);
        super::next(None, b"{}", &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "event: next\nid: 7\ndata: {\"data\":1}\n\nevent: next\ndata: {}\n\n"
        );
    }

    #[test]
    fn each_part_is_followed_by_its_delimiter() {
        let mut out = super::MULTIPART_OPEN.to_vec();
        super::part(b"1", &mut out);
        out.extend_from_slice(super::MULTIPART_KEEP_ALIVE);
        super::part_failed("[]", &mut out);
        out.extend_from_slice(super::MULTIPART_END);
        let text = String::from_utf8(out).unwrap();
        let head = "\r\ncontent-type: application/json\r\n\r\n";
        assert_eq!(
            text.split("\r\n--graphql").collect::<Vec<_>>(),
            [
                "",
                &format!("{head}{{\"payload\":1}}"),
                &format!("{head}{{}}"),
                &format!("{head}{{\"payload\":null,\"errors\":[]}}"),
                "--\r\n"
            ]
        );
    }
}
