//! AWS's reading of ISO 8601: a `T` between date and time, and `Z` or an offset after it. Nothing looser.
use jiff::Timestamp;

/// The instant, or `None` when AWS would refuse the text.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let (date, time) = text.split_once('T')?;
    let digits = |s: &str, n: usize| s.len() == n && s.bytes().all(|b| b.is_ascii_digit());
    let mut fields = date.splitn(3, '-');
    if !(digits(fields.next()?, 4) && digits(fields.next()?, 2) && digits(fields.next()?, 2)) {
        return None;
    }
    let zone = time.find(['Z', '+', '-'])?;
    let offset = &time[zone..];
    let plain = offset == "Z"
        || offset
            .get(1..)
            .is_some_and(|o| o.split(':').count() <= 3 && o.split(':').all(|part| digits(part, 2)))
            && offset.len() >= 6;
    let clock = time[..zone].split('.').next()?;
    let parts: Vec<&str> = clock.split(':').collect();
    let whole = (2..=3).contains(&parts.len()) && parts.iter().all(|p| digits(p, 2));
    if !plain || !whole {
        return None;
    }
    if parts.len() == 2 {
        return format!("{date}T{clock}:00{offset}").parse().ok();
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn strict() {
        for (text, good) in [
            ("2016-12-05T21:29:29Z", true),
            ("2016-12-05T21:29:29.123456789Z", true),
            ("2016-12-05T21:29Z", true),
            ("2016-12-05T21:29:29+01:00", true),
            ("2016-12-05T21:29:29", false),
            ("2016-12-05 21:29:29Z", false),
            ("2016-13-05T21:29:29Z", false),
            ("05-12-2016T21:29:29Z", false),
            ("2016-12-05T25:29:29Z", false),
            ("2016-12-05", false),
            ("20161205T212929Z", false),
            ("", false),
        ] {
            assert_eq!(super::parse(text).is_some(), good, "{text}");
        }
    }
}
