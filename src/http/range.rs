//! The bytes of a file that a request wants: conditional requests and ranges (RFC 9110, sections 13
//! and 14). One range is answered. Several at once are answered with the whole file, as the
//! specification allows and S3 does.

use std::ops::Range;

use http::HeaderMap;
use http::header::{
    HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};
use jiff::Timestamp;
use jiff::fmt::rfc2822::{DateTimeParser, DateTimePrinter};

/// The properties of a file that conditions and ranges refer to.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) size: u64,
    /// The entity tag, quoted.
    pub(super) tag: Option<String>,
    /// The time of the last change, in whole seconds.
    pub(super) modified: Timestamp,
}

/// The part of the file that a request is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RequestedPart {
    /// The whole file: 200.
    Whole,
    /// These bytes: 206.
    Part(Range<u64>),
    /// The range is outside of the file: 416.
    Unsatisfiable,
    /// The client has the current version: 304.
    NotModified,
    /// The file is not in the version that the client expects: 412.
    Failed,
}

impl Version {
    /// The time in the format of `Last-Modified`.
    pub(super) fn date(&self) -> Option<String> {
        let printer = DateTimePrinter::new();
        printer.timestamp_to_rfc9110_string(&self.modified).ok()
    }

    /// The answer to a GET or HEAD with these headers, in the order of RFC 9110, section 13.2.2.
    pub(super) fn wanted(&self, headers: &HeaderMap) -> RequestedPart {
        if headers.contains_key(IF_MATCH) {
            if !self.is_listed(headers, &IF_MATCH, false) {
                return RequestedPart::Failed;
            }
        } else if let Some(date) = date(headers, &IF_UNMODIFIED_SINCE)
            && self.modified > date
        {
            return RequestedPart::Failed;
        }
        if headers.contains_key(IF_NONE_MATCH) {
            if self.is_listed(headers, &IF_NONE_MATCH, true) {
                return RequestedPart::NotModified;
            }
        } else if let Some(date) = date(headers, &IF_MODIFIED_SINCE)
            && self.modified <= date
        {
            return RequestedPart::NotModified;
        }
        let mut ranges = headers.get_all(RANGE).into_iter();
        let (Some(range), None) = (ranges.next(), ranges.next()) else {
            return RequestedPart::Whole;
        };
        if !self.is_same(headers) {
            return RequestedPart::Whole;
        }
        range
            .to_str()
            .map_or(RequestedPart::Whole, |range| self.part(range))
    }

    /// Whether one of the tags in this header is the file's. A weak tag counts unless a part is
    /// asked for.
    fn is_listed(&self, headers: &HeaderMap, name: &HeaderName, weak: bool) -> bool {
        let values = headers.get_all(name).into_iter();
        let tags = values.filter_map(|value| value.to_str().ok());
        tags.flat_map(|value| value.split(','))
            .map(str::trim)
            .any(|tag| {
                let strong = match tag.strip_prefix("W/") {
                    Some(strong) if weak => strong,
                    _ => tag,
                };
                strong == "*" || self.tag.as_deref() == Some(strong)
            })
    }

    /// Whether the parts that a client has belong to this version (`If-Range`).
    fn is_same(&self, headers: &HeaderMap) -> bool {
        let Some(value) = headers.get(IF_RANGE) else {
            return true;
        };
        let Ok(text) = value.to_str() else {
            return false;
        };
        self.tag.as_deref() == Some(text) || date(headers, &IF_RANGE) == Some(self.modified)
    }

    fn part(&self, range: &str) -> RequestedPart {
        let Some((unit, list)) = range.split_once('=') else {
            return RequestedPart::Whole;
        };
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return RequestedPart::Whole;
        }
        let ranges: Vec<_> = list
            .split(',')
            .map(|range| self.one(range.trim()))
            .collect();
        match &ranges[..] {
            [Some(range)] => RequestedPart::Part(range.clone()),
            several if several.iter().any(Option::is_some) => RequestedPart::Whole,
            _ => RequestedPart::Unsatisfiable,
        }
    }

    /// One range, cut to the size of the file: `0-9`, `10-`, `-5`.
    fn one(&self, range: &str) -> Option<Range<u64>> {
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            // A number that does not fit is beyond the end of any file.
            digits.then(|| text.parse().unwrap_or(u64::MAX))
        };
        let (first, last) = range.split_once('-')?;
        let range = match (first, last) {
            ("", last) => self.size.saturating_sub(number(last)?)..self.size,
            (first, "") => number(first)?..self.size,
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                if last < first {
                    return None;
                }
                first..last.saturating_add(1).min(self.size)
            }
        };
        (range.start < range.end).then_some(range)
    }
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<Timestamp> {
    let text = headers.get(name)?.to_str().ok()?;
    DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sat, 13 Jul 2024 15:09:59 GMT";
    const BEFORE: &str = "Sat, 13 Jul 2024 15:09:58 GMT";
    const AFTER: &str = "Sat, 13 Jul 2024 15:10:00 GMT";

    fn version(size: u64) -> Version {
        Version {
            size,
            tag: Some("\"a-b\"".to_owned()),
            modified: DateTimeParser::new().parse_timestamp(DATE).expect("a date"),
        }
    }

    fn wanted(size: u64, lines: &[(&'static str, &str)]) -> RequestedPart {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().expect("a header"));
        }
        version(size).wanted(&headers)
    }

    #[test]
    fn ranges() {
        use RequestedPart::{Part, Unsatisfiable, Whole};
        for (size, range, expected) in [
            (100, "bytes=0-0", Part(0..1)),
            (100, "bytes=10-19", Part(10..20)),
            (100, "bytes=10-", Part(10..100)),
            (100, "bytes=99-", Part(99..100)),
            (100, "bytes=-1", Part(99..100)),
            (100, "bytes=-100", Part(0..100)),
            (100, "bytes=-101", Part(0..100)),
            (100, "bytes=0-1000", Part(0..100)),
            (100, "bytes=0-99999999999999999999999", Part(0..100)),
            (100, "BYTES = 1-2", Part(1..3)),
            (100, "bytes=100-", Unsatisfiable),
            (100, "bytes=100-200", Unsatisfiable),
            (100, "bytes=99999999999999999999999-", Unsatisfiable),
            (100, "bytes=-0", Unsatisfiable),
            (100, "bytes=20-10", Unsatisfiable),
            (100, "bytes=a-b", Unsatisfiable),
            (100, "bytes=", Unsatisfiable),
            (100, "bytes=-", Unsatisfiable),
            (100, "bytes=+1-2", Unsatisfiable),
            (100, "bytes=0-1,5-6", Whole),
            (100, "bytes=0-1,200-", Whole),
            (100, "bytes=200-,300-", Unsatisfiable),
            (100, "lines=0-1", Whole),
            (100, "0-1", Whole),
            (0, "bytes=0-", Unsatisfiable),
            (0, "bytes=-1", Unsatisfiable),
        ] {
            assert_eq!(
                wanted(size, &[("range", range)]),
                expected,
                "{range} of {size}"
            );
        }
        assert_eq!(wanted(9, &[]), Whole);
        assert_eq!(
            wanted(9, &[("range", "bytes=0-1"), ("range", "bytes=2-3")]),
            Whole
        );
    }

    #[test]
    fn conditions() {
        use RequestedPart::{Failed, NotModified, Part, Whole};
        let range = ("range", "bytes=0-1");
        for (lines, expected) in [
            (vec![("if-none-match", "\"a-b\"")], NotModified),
            (vec![("if-none-match", "W/\"a-b\"")], NotModified),
            (vec![("if-none-match", "\"x\", \"a-b\"")], NotModified),
            (vec![("if-none-match", "*")], NotModified),
            (vec![("if-none-match", "\"x\"")], Whole),
            (
                vec![("if-none-match", "\"x\""), ("if-modified-since", DATE)],
                Whole,
            ),
            (vec![("if-modified-since", DATE)], NotModified),
            (vec![("if-modified-since", AFTER)], NotModified),
            (vec![("if-modified-since", BEFORE)], Whole),
            (vec![("if-modified-since", "yesterday")], Whole),
            (vec![("if-match", "\"a-b\"")], Whole),
            (vec![("if-match", "*")], Whole),
            (vec![("if-match", "\"x\"")], Failed),
            (vec![("if-match", "W/\"a-b\"")], Failed),
            (vec![("if-unmodified-since", DATE)], Whole),
            (vec![("if-unmodified-since", BEFORE)], Failed),
            (vec![("if-range", "\"a-b\""), range], Part(0..2)),
            (vec![("if-range", "\"x\""), range], Whole),
            (vec![("if-range", "W/\"a-b\""), range], Whole),
            (vec![("if-range", DATE), range], Part(0..2)),
            (vec![("if-range", AFTER), range], Whole),
            (vec![("if-none-match", "\"a-b\""), range], NotModified),
        ] {
            assert_eq!(wanted(9, &lines), expected, "{lines:?}");
        }
        assert_eq!(version(1).date().as_deref(), Some(DATE));
    }
}
