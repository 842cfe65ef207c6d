//! The media type that a client wants (RFC 9110, section 12.5.1, "Accept"): the one with the
//! highest quality. Among equals the first counts, since clients that send no qualities mean that.

use http::HeaderMap;
use http::header::ACCEPT;

/// The wanted kind of answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerFormat {
    /// The legacy media type: every well-formed request is answered 200.
    Json,
    /// GraphQL over HTTP's media type: the status says whether the request was executed.
    GraphqlResponse,
    /// Server-sent events.
    EventStream,
    /// Apollo's multipart subscriptions.
    Multipart,
    /// A page for a browser.
    Html,
}

/// All of them. Among those that only a wildcard matches, the first counts.
const ALL: [AnswerFormat; 5] = [
    AnswerFormat::Json,
    AnswerFormat::GraphqlResponse,
    AnswerFormat::EventStream,
    AnswerFormat::Multipart,
    AnswerFormat::Html,
];

/// A media range of `Accept`.
struct Range<'a> {
    kind: String,
    /// Names in lower case, values without quotes.
    parameters: Vec<(String, &'a str)>,
    /// The quality, in thousandths.
    quality: u16,
}

impl AnswerFormat {
    fn media_type(self) -> &'static str {
        match self {
            AnswerFormat::Json => "application/json",
            AnswerFormat::GraphqlResponse => "application/graphql-response+json",
            AnswerFormat::EventStream => "text/event-stream",
            AnswerFormat::Multipart => "multipart/mixed",
            AnswerFormat::Html => "text/html",
        }
    }

    /// How exactly a range matches this type: 2 exactly, 1 by its main type, 0 by `*/*`. Streams
    /// and pages need an exact match.
    fn named_by(self, range: &Range<'_>) -> Option<u8> {
        if range.kind == self.media_type() {
            let named = match self {
                AnswerFormat::Multipart => range.has("subscriptionspec"),
                _ => range.is_utf8(),
            };
            return named.then_some(2);
        }
        if !matches!(self, AnswerFormat::Json | AnswerFormat::GraphqlResponse) {
            return None;
        }
        match range.kind.as_str() {
            "application/*" => Some(1),
            "*/*" => Some(0),
            _ => None,
        }
    }
}

impl<'a> Range<'a> {
    fn read(text: &'a str) -> Range<'a> {
        let mut pieces = split(text, ';').map(str::trim);
        let mut range = Range {
            kind: pieces.next().unwrap_or("").to_ascii_lowercase(),
            parameters: Vec::new(),
            quality: 1_000,
        };
        for piece in pieces {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            let name = name.trim().to_ascii_lowercase();
            let value = value.trim().trim_matches('"');
            if name == "q" {
                range.quality = quality(value);
                // A parameter after the weight does not belong to the type.
                break;
            }
            range.parameters.push((name, value));
        }
        range
    }

    fn has(&self, name: &str) -> bool {
        self.parameters.iter().any(|(known, _)| known == name)
    }

    fn is_utf8(&self) -> bool {
        let mut charsets = self.parameters.iter().filter(|(name, _)| name == "charset");
        charsets.all(|(_, value)| {
            ["utf-8", "utf8"]
                .iter()
                .any(|utf8| value.eq_ignore_ascii_case(utf8))
        })
    }
}

/// The quality in thousandths. A value that is not a number from 0 to 1 counts as 1, as if it were
/// missing.
fn quality(text: &str) -> u16 {
    let parsed = text
        .parse::<f32>()
        .ok()
        .filter(|value| (0.0..=1.0).contains(value));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it lies between 0 and 1000"
    )]
    parsed.map_or(1_000, |value| (value * 1_000.0).round() as u16)
}

/// Splits at a character that is not within quotes.
fn split(text: &str, at: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        c == at && !quoted
    })
}

/// The best supported type that the client accepts; `None` if there is none.
pub(super) fn answer_format(headers: &HeaderMap) -> Option<AnswerFormat> {
    let values = headers.get_all(ACCEPT);
    let mut ranges = Vec::new();
    for value in values.iter().filter_map(|value| value.to_str().ok()) {
        ranges.extend(split(value, ',').map(Range::read));
    }
    if ranges.is_empty() {
        return Some(AnswerFormat::Json);
    }
    let mut best: Option<(u16, usize, AnswerFormat)> = None;
    for wanted in ALL {
        // The most exact range decides, regardless of its position.
        let named = ranges.iter().enumerate().filter_map(|(at, range)| {
            let exactness = wanted.named_by(range)?;
            Some((exactness, at, range.quality))
        });
        let Some((_, at, quality)) =
            named.max_by_key(|(exactness, at, _)| (*exactness, usize::MAX - at))
        else {
            continue;
        };
        let better = |(known, before, _): (u16, usize, AnswerFormat)| {
            quality > known || quality == known && at < before
        };
        if quality > 0 && best.is_none_or(better) {
            best = Some((quality, at, wanted));
        }
    }
    best.map(|(_, _, wanted)| wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_header_chooses_the_media_type() {
        use AnswerFormat::{EventStream, GraphqlResponse, Html, Json, Multipart};
        for (accept, wanted) in [
            ("", None),
            ("*/*", Some(Json)),
            ("application/*", Some(Json)),
            ("application/json", Some(Json)),
            ("APPLICATION/JSON", Some(Json)),
            ("application/json;charset=utf-8", Some(Json)),
            ("application/json; charset=\"UTF-8\"", Some(Json)),
            ("application/json;charset=latin1", None),
            ("application/graphql-response+json", Some(GraphqlResponse)),
            // Headers of the usual clients.
            (
                "application/graphql-response+json, application/json;q=0.9",
                Some(GraphqlResponse),
            ),
            (
                "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed",
                Some(GraphqlResponse),
            ),
            ("application/json, text/plain, */*", Some(Json)),
            ("text/event-stream", Some(EventStream)),
            (
                "multipart/mixed;boundary=\"graphql\";subscriptionSpec=1.0,application/json",
                Some(Multipart),
            ),
            (
                "multipart/mixed;boundary=\"a,b;c\";subscriptionSpec=\"1.0\", application/json",
                Some(Multipart),
            ),
            (
                "multipart/mixed;deferSpec=20220824,application/json",
                Some(Json),
            ),
            ("multipart/mixed", None),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                Some(Html),
            ),
            ("image/png", None),
            ("text/*", None),
            // Qualities.
            (
                "application/json;q=0, application/graphql-response+json",
                Some(GraphqlResponse),
            ),
            (
                "application/json;q=0.1, application/graphql-response+json;q=1",
                Some(GraphqlResponse),
            ),
            (
                "application/json;q=0.1, application/graphql-response+json",
                Some(GraphqlResponse),
            ),
            (
                "application/graphql-response+json;q=0.5, application/json;q=0.6",
                Some(Json),
            ),
            (
                "application/json;q=0.5, application/graphql-response+json;q=0.5",
                Some(Json),
            ),
            (
                "application/json;q=0.001, application/graphql-response+json;q=0.002",
                Some(GraphqlResponse),
            ),
            ("application/json;Q=0, */*", Some(GraphqlResponse)),
            ("application/json;q=0", None),
            ("application/json; q=0.000", None),
            ("*/*;q=0", None),
            ("*/*;q=0, application/json", Some(Json)),
            (
                "*/*;q=0.1, application/graphql-response+json;q=0.05",
                Some(Json),
            ),
            ("application/*;q=0, */*", None),
            ("text/event-stream;q=0, application/json", Some(Json)),
            ("text/event-stream;q=0.1, application/json", Some(Json)),
            ("text/html;q=0.5, application/json", Some(Json)),
            ("application/json;q=2", Some(Json)),
            ("application/json;q=", Some(Json)),
            ("application/json;q=nan", Some(Json)),
            (", ,application/json", Some(Json)),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().expect("a header"))]);
            assert_eq!(answer_format(&headers), wanted, "{accept}");
        }
        assert_eq!(answer_format(&HeaderMap::new()), Some(Json));
    }

    #[test]
    fn several_accept_headers_are_one_list() {
        let mut headers = HeaderMap::new();
        for accept in [
            "application/json;q=0.1",
            "application/graphql-response+json",
        ] {
            headers.append(ACCEPT, accept.parse().expect("a header"));
        }
        assert_eq!(answer_format(&headers), Some(AnswerFormat::GraphqlResponse));
    }
}
