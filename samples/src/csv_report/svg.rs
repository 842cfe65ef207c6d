//! Histograms as SVG: small multiples, one per column. Every name is escaped.

use std::fmt::Write as _;

use super::histogram::Histogram;

/// Maximum number of columns that are drawn.
pub const MAX_CHARTED: usize = 12;

const CARD_WIDTH: usize = 456;
const CARD_HEIGHT: usize = 232;
const GAP: usize = 16;
const HEAD: usize = 64;
/// The bars' area inside a card.
const LEFT: f64 = 20.0;
const TOP: f64 = 64.0;
const WIDTH: f64 = 416.0;
const HEIGHT: f64 = 124.0;
/// Maximum length of a name that is shown whole, in characters.
const NAME_CHARACTERS: usize = 36;

const STYLE: &str = "\
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;fill:#1f2933}\
.ground{fill:#f5f6f8}.card{fill:#fff;stroke:#dde1e7}.bar{fill:#3f6fb5}.axis{stroke:#9aa5b1}\
.median{stroke:#c8502f;stroke-width:2;stroke-dasharray:4 3}.title{font-size:20px;font-weight:600}\
.name{font-size:15px;font-weight:600}.note{font-size:12px;fill:#616e7c}.mark{font-size:12px;fill:#b0431f}";

/// The whole picture, an SVG 1.1 document.
#[must_use]
pub(super) fn draw(rows: u64, histograms: &[Histogram]) -> String {
    let columns = histograms.len().clamp(1, 2);
    let lines = histograms.len().div_ceil(2);
    let width = GAP + columns * (CARD_WIDTH + GAP);
    let height = HEAD + lines * (CARD_HEIGHT + GAP);
    let title = format!(
        "{} columns of numbers, {} rows",
        histograms.len(),
        grouped(rows)
    );
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\"><title>{title}</title><style>{STYLE}</style>\
         <rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>\
         <text class=\"title\" x=\"{GAP}\" y=\"40\">{title}</text>"
    );
    for (index, histogram) in histograms.iter().enumerate() {
        let (x, y) = (
            GAP + index % 2 * (CARD_WIDTH + GAP),
            HEAD + index / 2 * (CARD_HEIGHT + GAP),
        );
        card(&mut svg, x, y, histogram);
    }
    svg.push_str("</svg>\n");
    svg
}

fn card(svg: &mut String, x: usize, y: usize, histogram: &Histogram) {
    let Histogram {
        column,
        count,
        min,
        max,
        median,
        bins,
        ..
    } = histogram;
    let base = TOP + HEIGHT;
    let right = LEFT + WIDTH;
    let _ = write!(
        svg,
        "<g transform=\"translate({x} {y})\"><rect class=\"card\" width=\"{CARD_WIDTH}\" height=\"{CARD_HEIGHT}\" \
         rx=\"8\"/><text class=\"name\" x=\"{LEFT}\" y=\"30\">{}<title>{}</title></text>\
         <text class=\"note\" x=\"{right}\" y=\"30\" text-anchor=\"end\">{} values</text>",
        escaped(&shortened(column)),
        escaped(column),
        grouped(*count),
    );
    let highest = bins.iter().copied().max().unwrap_or(0).max(1) as f64;
    let step = WIDTH / bins.len().max(1) as f64;
    for (index, bin) in bins.iter().enumerate().filter(|(_, bin)| **bin > 0) {
        // A bar of a range that is not empty stays visible.
        let height = (*bin as f64 / highest * HEIGHT).max(1.0);
        let place = |index: usize| index as f64 / bins.len() as f64;
        let _ = write!(
            svg,
            "<rect class=\"bar\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\">\
             <title>{}: {}</title></rect>",
            LEFT + index as f64 * step + 0.5,
            base - height,
            (step - 1.0).max(0.5),
            range(histogram.at(place(index)), histogram.at(place(index + 1))),
            grouped(*bin),
        );
    }
    let mark = LEFT + histogram.place(*median) * WIDTH;
    // The label stays inside the card.
    let (anchor, label) = if mark < right - 110.0 {
        ("start", mark + 5.0)
    } else {
        ("end", mark - 5.0)
    };
    let below = base + 18.0;
    let _ = write!(
        svg,
        "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{base}\" x2=\"{right}\" y2=\"{base}\"/>\
         <line class=\"median\" x1=\"{mark:.1}\" y1=\"{}\" x2=\"{mark:.1}\" y2=\"{base}\"/>\
         <text class=\"mark\" x=\"{label:.1}\" y=\"{}\" text-anchor=\"{anchor}\">median {}</text>\
         <text class=\"note\" x=\"{LEFT}\" y=\"{below}\">{}</text>\
         <text class=\"note\" x=\"{right}\" y=\"{below}\" text-anchor=\"end\">{}</text></g>",
        TOP - 18.0,
        TOP - 8.0,
        short(*median),
        short(*min),
        short(*max),
    );
}

/// A bar's numbers as text. Ranges of whole numbers begin and end half-way between two of them.
fn range(from: f64, to: f64) -> String {
    let (first, last) = (from + 0.5, to - 0.5);
    if first.fract() != 0.0 || last.fract() != 0.0 {
        return format!("{} to {}", short(from), short(to));
    }
    if first == last {
        short(first)
    } else {
        format!("{} to {}", short(first), short(last))
    }
}

/// A number short enough for an axis: about four digits.
fn short(number: f64) -> String {
    let size = number.abs();
    let text = match size {
        _ if size == 0.0 => return "0".into(),
        _ if !(1e-4..1e9).contains(&size) => return format!("{number:.2e}"),
        _ if size >= 1000.0 => {
            let sign = if number < 0.0 { "-" } else { "" };
            return format!("{sign}{}", grouped(size.round() as u64));
        }
        _ if size >= 100.0 => format!("{number:.1}"),
        _ if size >= 1.0 => format!("{number:.2}"),
        _ => format!("{number:.5}"),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `1234567` as `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME_CHARACTERS {
        return name.to_owned();
    }
    let mut short: String = name.chars().take(NAME_CHARACTERS - 1).collect();
    short.push('…');
    short
}

/// Text for XML 1.0: marked-up characters as entities, forbidden ones as the replacement character.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn histogram(column: &str, bins: Vec<u64>) -> Histogram {
        let count = bins.iter().sum();
        Histogram {
            column: column.into(),
            count,
            min: 0.0,
            max: 10.0,
            median: 4.0,
            from: 0.0,
            to: 10.0,
            bins,
        }
    }

    #[test]
    fn each_column_is_a_card_and_each_range_a_bar() {
        let histograms = vec![histogram("a", vec![1, 0, 4]), histogram("b", vec![2, 2, 2])];
        let svg = draw(7, &histograms);
        let document = roxmltree::Document::parse(&svg).unwrap();
        let of = |class: &str| {
            document
                .descendants()
                .filter(|node| node.attribute("class") == Some(class))
                .count()
        };
        assert_eq!(
            (of("card"), of("bar"), of("median")),
            (2, 5, 2),
            "an empty range has no bar"
        );
        let heights: Vec<_> = document
            .descendants()
            .filter(|node| node.attribute("class") == Some("bar"))
            .map(|node| node.attribute("height").unwrap().to_owned())
            .collect();
        assert_eq!(heights[..2], ["31.0", "124.0"]);
    }

    #[test]
    fn numbers_are_grouped_for_reading() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn a_bar_names_its_range() {
        let cases = [
            (0.5, 1.5, "1"),
            (0.5, 5.5, "1 to 5"),
            (0.0, 2.25, "0 to 2.25"),
            (-0.5, 0.5, "0"),
        ];
        for (from, to, text) in cases {
            assert_eq!(range(from, to), text);
        }
    }

    #[test]
    fn numbers_on_the_axis_are_short() {
        let cases = [
            (0.0, "0"),
            (1.0, "1"),
            (12.345, "12.35"),
            (123.45, "123.5"),
            (1234.5, "1,235"),
            (-45000.0, "-45,000"),
            (0.25, "0.25"),
            (1e12, "1.00e12"),
            (0.000_01, "1.00e-5"),
            (1_234_567.0, "1,234,567"),
        ];
        for (number, text) in cases {
            assert_eq!(short(number), text);
        }
    }

    proptest! {
        #[test]
        fn any_name_and_numbers_give_well_formed_xml(
            column in any::<String>(),
            min in any::<f64>(), max in any::<f64>(), median in any::<f64>(),
            bins in prop::collection::vec(any::<u32>(), 0..30),
            count in 0usize..MAX_CHARTED,
        ) {
            let bins: Vec<_> = bins.into_iter().map(u64::from).collect();
            let one = Histogram { column: column.clone(), count: 1, min, max, median, from: min, to: max, bins };
            let svg = draw(3, &vec![one; count]);
            let document = roxmltree::Document::parse(&svg);
            prop_assert!(document.is_ok(), "{document:?}");
            let document = document.unwrap();
            let scripts = document.descendants().filter(|node| node.has_tag_name("script")).count();
            prop_assert_eq!(scripts, 0);
        }
    }

    #[test]
    fn a_name_is_escaped() {
        let svg = draw(
            1,
            &[histogram(
                "</text><script>alert('&\"')</script>\u{0}",
                vec![1],
            )],
        );
        assert!(
            !svg.contains("<script") && svg.contains("&lt;script&gt;") && svg.contains('\u{fffd}')
        );
    }
}
