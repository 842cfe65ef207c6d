//! RFC 3339 as in the states language: a capital `T` between date and time, `Z` or an offset behind
//! it, years 0000 to 9999. As on AWS, seconds may be missing; nothing looser is accepted.

use jiff::{SignedDuration, Timestamp, civil};

/// An instant, as the time since the Unix epoch. A [`Timestamp`] ends 22 hours before the year
/// 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(SignedDuration);

impl Moment {
    /// The nearest time that a timer supports.
    pub(crate) fn timestamp(self) -> Timestamp {
        Timestamp::from_duration(self.0).unwrap_or(if self.0.is_negative() {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        })
    }
}

/// Maximum number of digits of a second's fraction.
const FRACTION: usize = 9;
/// Maximum offset from UTC, in hours (ISO 8601 as Java reads it).
const OFFSET_HOURS: i64 = 18;

/// The instant, or `None` if AWS would refuse the text.
pub(crate) fn parse(text: &str) -> Option<Moment> {
    let mut rest = Rest(text.as_bytes());
    let year = rest.digits(4)?;
    rest.take(b'-')?;
    let month = rest.digits(2)?;
    rest.take(b'-')?;
    let day = rest.digits(2)?;
    rest.take(b'T')?;
    let hour = rest.digits(2)?;
    rest.take(b':')?;
    let minute = rest.digits(2)?;
    let (mut second, mut nanos) = (0, 0);
    if rest.take(b':').is_some() {
        second = rest.digits(2)?;
        if rest.take(b'.').is_some() {
            nanos = rest.fraction()?;
        }
    }
    let offset = rest.offset()?;
    if !rest.0.is_empty() {
        return None;
    }
    // A leap second is the end of the second before it.
    let leap = second == 60;
    let whole = if leap { 59 } else { second };
    let small = |n: i64| i8::try_from(n).ok();
    let date = civil::Date::new(i16::try_from(year).ok()?, small(month)?, small(day)?).ok()?;
    let time = civil::Time::new(small(hour)?, small(minute)?, small(whole)?, nanos).ok()?;
    let epoch = civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
    let local = date.to_datetime(time).duration_since(epoch);
    Some(Moment(
        local.checked_sub(SignedDuration::from_secs(offset))?,
    ))
}

/// The rest of the text.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take(&mut self, byte: u8) -> Option<()> {
        self.0 = self.0.strip_prefix(&[byte])?;
        Some(())
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.0 = rest;
        Some(
            digits
                .iter()
                .fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')),
        )
    }

    /// Nanoseconds.
    fn fraction(&mut self) -> Option<i32> {
        let count = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        if !(1..=FRACTION).contains(&count) {
            return None;
        }
        let scale = 10_i64.pow(u32::try_from(FRACTION - count).ok()?);
        i32::try_from(self.digits(count)? * scale).ok()
    }

    /// Seconds east of UTC.
    fn offset(&mut self) -> Option<i64> {
        if self.take(b'Z').is_some() {
            return Some(0);
        }
        let sign = match self.take(b'+') {
            Some(()) => 1,
            None => self.take(b'-').map(|()| -1)?,
        };
        let hours = self.digits(2)?;
        self.take(b':')?;
        let minutes = self.digits(2)?;
        let seconds = match self.take(b':') {
            Some(()) => self.digits(2)?,
            None => 0,
        };
        let whole = hours * 3_600 + minutes * 60 + seconds;
        let fits = minutes < 60 && seconds < 60 && whole <= OFFSET_HOURS * 3_600;
        fits.then_some(sign * whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_strict_timestamps_are_accepted() {
        for (text, valid) in [
            ("2016-12-05T21:29:29Z", true),
            ("2016-12-05T21:29:29.1Z", true),
            ("2016-12-05T21:29:29.123456789Z", true),
            ("2016-12-05T21:29:29.1234567890Z", false),
            ("2016-12-05T21:29:29.Z", false),
            ("2016-12-05T21:29:29,5Z", false),
            ("2016-12-05T21:29Z", true),
            ("2016-12-05T21:29.5Z", false),
            ("2016-12-05T21Z", false),
            ("2016-12-05T21:29:29+01:00", true),
            ("2016-12-05T21:29:29-00:00", true),
            ("2016-12-05T21:29:29+18:00", true),
            ("2016-12-05T21:29:29+18:01", false),
            ("2016-12-05T21:29:29+01:60", false),
            ("2016-12-05T21:29:29+01", false),
            ("2016-12-05T21:29:29+0100", false),
            ("2016-12-05T21:29:29", false),
            ("2016-12-05 21:29:29Z", false),
            ("2016-12-05t21:29:29Z", false),
            ("2016-12-05T21:29:29z", false),
            ("2016-12-05T21:29:29Z ", false),
            (" 2016-12-05T21:29:29Z", false),
            ("2016-12-05T21:29:29Z[UTC]", false),
            ("2016-13-05T21:29:29Z", false),
            ("2016-02-29T00:00:00Z", true),
            ("2015-02-29T00:00:00Z", false),
            ("1900-02-29T00:00:00Z", false),
            ("2016-00-05T21:29:29Z", false),
            ("05-12-2016T21:29:29Z", false),
            ("2016-12-05T24:00:00Z", false),
            ("2016-12-05T21:60:00Z", false),
            ("2016-12-31T23:59:60Z", true),
            ("2016-12-31T23:59:61Z", false),
            ("2016-12-05", false),
            ("20161205T212929Z", false),
            ("\u{662}016-12-05T21:29:29Z", false),
            ("", false),
            ("0000-01-01T00:00:00Z", true),
            ("0001-01-01T00:00:00Z", true),
            ("-0001-01-01T00:00:00Z", false),
            ("+2016-12-05T21:29:29Z", false),
            ("10000-01-01T00:00:00Z", false),
            ("9999-12-30T22:00:00.000000001Z", true),
            ("9999-12-31T23:59:59Z", true),
            ("9999-12-31T23:59:59.999Z", true),
            ("9999-12-31T23:59:59.999999999Z", true),
            ("9999-12-31T23:59:59-12:00", true),
            ("0000-01-01T00:00:00+14:00", true),
        ] {
            assert_eq!(parse(text).is_some(), valid, "{text}");
        }
    }

    #[test]
    fn instants_are_ordered_from_the_first_year_to_the_last() {
        let texts = [
            "0000-01-01T00:00:00+14:00",
            "0000-01-01T00:00:00Z",
            "1969-12-31T23:59:59.999999999Z",
            "1970-01-01T00:00:00Z",
            "2016-12-05T21:29:29+01:00",
            "2016-12-05T21:29:29Z",
            "9999-12-30T22:00:00Z",
            "9999-12-31T23:59:59Z",
            "9999-12-31T23:59:59.999999999Z",
            "9999-12-31T23:59:59-12:00",
        ];
        assert!(texts.map(parse).is_sorted_by(|a, b| a < b));
        assert_eq!(
            parse("9999-12-31T22:59:59-01:00"),
            parse("9999-12-31T23:59:59Z")
        );
        let timer = |text: &str| parse(text).unwrap().timestamp();
        assert_eq!(timer("9999-12-31T23:59:59Z"), Timestamp::MAX);
        assert_eq!(
            timer("2016-12-05T21:29:29.5Z"),
            "2016-12-05T21:29:29.5Z".parse().unwrap()
        );
        assert!(timer("0000-01-01T00:00:00Z") < Timestamp::UNIX_EPOCH);
    }
}
