//! Known columns, and random ones compared with the simplest computation of the same values.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn column<'a>(values: impl IntoIterator<Item = &'a str>) -> Column {
    let mut column = Column::new("c");
    values.into_iter().for_each(|value| column.add(value));
    column
}

#[test]
fn a_column_of_numbers_has_its_statistics() {
    let report = column(["2", "4", " 4 ", "", "4", "5", "5", "7", "9", "  "]).report();
    assert_eq!(
        (report.kind, report.count, report.empty, report.distinct),
        (Kind::Number, 8, 2, 5)
    );
    let numbers = report.numbers.unwrap();
    assert_eq!((numbers.min, numbers.max, numbers.mean), (2.0, 9.0, 5.0));
    assert!(
        (numbers.stddev - 2.138_089_935_299_395).abs() < 1e-12,
        "{}",
        numbers.stddev
    );
    assert_eq!((numbers.p25, numbers.p50, numbers.p75), (4.0, 4.5, 5.5));
    assert!(numbers.quantiles_exact);
    assert_eq!(
        (report.top[0].value.as_str(), report.top[0].count),
        ("4", 3)
    );
}

#[test]
fn a_column_of_dates_has_its_first_and_last() {
    let report = column(["2026-02-28", "2024-02-29", "2025-12-31T23:59:59Z"]).report();
    assert_eq!(report.kind, Kind::Date);
    assert_eq!(
        report.dates,
        Some(Range {
            min: "2024-02-29".into(),
            max: "2026-02-28".into()
        })
    );
}

#[test]
fn a_column_of_text_has_its_lengths() {
    let report = column(["äh", "b", "ccc"]).report();
    assert_eq!(report.kind, Kind::Text);
    assert_eq!(
        report.lengths,
        Some(Lengths {
            min: 1,
            max: 3,
            mean: 2.0
        })
    );
    assert_eq!(column([""; 3]).report().kind, Kind::Empty);
}

#[test]
fn a_column_is_of_numbers_despite_a_few_words() {
    let mut values = vec!["1"; 19];
    values.push("n/a");
    let report = column(values.clone()).report();
    assert_eq!((report.kind, report.other_type), (Kind::Number, 1));
    values.push("n/a");
    assert_eq!(column(values).report().kind, Kind::Text);
}

#[test]
fn only_a_finite_decimal_is_a_number() {
    for yes in ["0", "-1", "+2.5", ".5", "5.", "1e3", "0.5", "-0", "1E-3"] {
        assert!(number(yes).is_some(), "{yes}");
    }
    for no in [
        "007", "00", "-01", "inf", "-inf", "NaN", "1,000", "1e999", "0x10", "", "-", ".", "1 2",
        "١",
    ] {
        assert_eq!(number(no), None, "{no}");
    }
}

#[test]
fn only_an_existing_day_is_a_date() {
    for yes in [
        "2026-01-31",
        "2024-02-29",
        "2000-02-29",
        "2026-01-31T10:00:00Z",
        "2026-01-31 10:00",
    ] {
        assert!(is_date(yes), "{yes}");
    }
    for no in [
        "2026-02-29",
        "1900-02-29",
        "2026-13-01",
        "2026-00-10",
        "2026-04-31",
        "2026-1-31",
        "31.01.2026",
        "2026-01-31x",
        "2026-01-31T",
        "2026-01-31T25:00",
        "",
        "２026-01-31",
    ] {
        assert!(!is_date(no), "{no}");
    }
}

#[test]
fn distinct_values_are_exact_up_to_the_limit() {
    let numbers: Vec<_> = (0..=MAX_DISTINCT)
        .map(|number| number.to_string())
        .collect();
    let within = column(
        numbers[..MAX_DISTINCT]
            .iter()
            .chain(&numbers[..5])
            .map(String::as_str),
    )
    .report();
    assert_eq!(
        (within.distinct, within.distinct_exact),
        (MAX_DISTINCT as u64, true)
    );
    let beyond = column(numbers.iter().map(String::as_str)).report();
    assert_eq!(
        (beyond.distinct, beyond.distinct_exact),
        (MAX_DISTINCT as u64 + 1, false)
    );
}

#[test]
fn a_long_value_is_cut_when_it_is_shown() {
    let long = "ü".repeat(MAX_VALUE_BYTES);
    let report = column([long.as_str()]).report();
    assert_eq!(report.top[0].value.len(), MAX_VALUE_BYTES);
    assert_eq!(report.lengths.unwrap().max, MAX_VALUE_BYTES as u64);
    assert_eq!(cut("short"), "short");
}

#[test]
fn only_numbers_have_a_histogram() {
    let histogram = column(["1", "n/a"].into_iter().chain(["3"; 30]))
        .histogram()
        .unwrap();
    assert_eq!((histogram.count, histogram.bins), (31, vec![1, 0, 30]));
    assert!(column(["a"]).histogram().is_none() && column([]).histogram().is_none());
}

proptest! {
    #[test]
    fn statistics_agree_with_the_simplest_computation(values in prop::collection::vec(-1e6f64..1e6, 1..400)) {
        let texts: Vec<_> = values.iter().map(|value| format!("{value:.2}")).collect();
        let values: Vec<f64> = texts.iter().map(|text| text.parse().unwrap()).collect();
        let report = column(texts.iter().map(String::as_str)).report();
        let numbers = report.numbers.unwrap();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let spread = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let stddev = if count > 1.0 { (spread / (count - 1.0)).sqrt() } else { 0.0 };
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        prop_assert!((numbers.mean - mean).abs() < 1e-6);
        prop_assert!((numbers.stddev - stddev).abs() < 1e-6);
        prop_assert_eq!((numbers.min, numbers.max), (sorted[0], *sorted.last().unwrap()));
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
        prop_assert!((numbers.p50 - median).abs() < 1e-6);
        let distinct = texts.iter().collect::<BTreeSet<_>>().len() as u64;
        prop_assert_eq!(report.distinct, distinct);
        let histogram = column(texts.iter().map(String::as_str)).histogram().unwrap();
        prop_assert_eq!(histogram.bins.iter().sum::<u64>(), values.len() as u64);
    }

    #[test]
    fn any_value_is_counted(values in prop::collection::vec(any::<String>(), 0..50)) {
        let column = column(values.iter().map(String::as_str));
        let report = column.report();
        prop_assert_eq!(report.count + report.empty, values.len() as u64);
        let _ = column.histogram();
    }
}
