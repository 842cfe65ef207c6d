//! The orders of a shop over two years: seasons, expensive and cheap goods, and gaps where a field
//! was not filled in.

use std::fmt::Write as _;

use crate::noise::Sequence;

/// Number of orders in the sample.
pub(crate) const ROWS: u32 = 5000;

const GOODS: [(&str, &str, f32); 12] = [
    ("Coffee beans, 1 kg", "Groceries", 18.9),
    ("Green tea, loose", "Groceries", 7.4),
    ("Olive oil, 5 l", "Groceries", 42.0),
    ("Notebook \"Field\", A5", "Stationery", 6.5),
    ("Fountain pen", "Stationery", 34.0),
    ("Desk lamp", "Home", 59.0),
    ("Wool blanket", "Home", 84.0),
    ("Cast-iron pan", "Kitchen", 48.5),
    ("Chef's knife, 20 cm", "Kitchen", 96.0),
    ("Rain jacket", "Outdoor", 129.0),
    ("Tent, 2 persons", "Outdoor", 249.0),
    ("Head torch", "Outdoor", 27.9),
];
const COUNTRIES: [(&str, f32); 7] = [
    ("DE", 0.36),
    ("AT", 0.50),
    ("FR", 0.66),
    ("NL", 0.77),
    ("IT", 0.87),
    ("ES", 0.95),
    ("SE", 1.0),
];
const DAYS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// The table, with a header.
pub(crate) fn write(rows: u32) -> String {
    let mut chance = Sequence::new(2025);
    let mut table = String::from(
        "order_id,ordered_on,country,category,product,quantity,unit_price,discount,total,delivery_days,rating,note\n",
    );
    for row in 0..rows {
        let (year, day) = date(row, rows);
        let (month, day) = month_and_day(day);
        // Tents in summer, tea and blankets in winter.
        let warm = 1.0 - ((month as f32 - 6.5) / 6.0).powi(2);
        let mut pick = chance.next();
        pick = if warm > 0.7 {
            pick.powf(0.75)
        } else {
            pick.powf(1.3)
        };
        let (product, category, price) =
            GOODS[((pick * GOODS.len() as f32) as usize).min(GOODS.len() - 1)];
        let quantity = 1 + (chance.next().powi(4) * 9.0) as u32;
        let price = (price * chance.between(0.94, 1.09) * 20.0).round() / 20.0;
        let discount = [0, 0, 0, 0, 5, 10, 15, 25][(chance.next() * 8.0) as usize];
        let total = price * quantity as f32 * (100 - discount) as f32 / 100.0;
        let share = chance.next();
        let (country, _) = COUNTRIES
            .iter()
            .find(|(_, until)| share < *until)
            .unwrap_or(&COUNTRIES[0]);
        let abroad = if *country == "DE" { 0.0 } else { 2.4 };
        let delivery =
            1.0 + abroad + chance.next() + chance.next() * 2.0 + chance.next().powi(8) * 14.0;
        let _ = write!(
            table,
            "{:06},{year}-{month:02}-{day:02},{country},{category},{},{quantity},{price:.2},",
            100_001 + row,
            quoted(product),
        );
        if discount > 0 {
            let _ = write!(table, "{discount}");
        }
        let _ = write!(table, ",{total:.2},");
        // The newest orders are not delivered yet.
        if row + 60 < rows {
            let _ = write!(table, "{}", delivery.round());
        }
        table.push(',');
        if chance.next() > 0.46 {
            let _ = write!(table, "{}", 5 - (chance.next().powf(2.2) * 4.99) as u32);
        }
        table.push(',');
        table.push_str(note(chance.next()));
        table.push('\n');
    }
    table
}

/// Two years, with more orders towards each year's end.
fn date(row: u32, rows: u32) -> (u32, u32) {
    let at = row as f32 / rows as f32 * 2.0;
    let (year, within) = if at < 1.0 {
        (2024, at)
    } else {
        (2025, at - 1.0)
    };
    let day = 365.0 * (within + 0.09 * (within * std::f32::consts::PI).sin());
    (year, (day as u32).min(364))
}

fn month_and_day(mut day: u32) -> (u32, u32) {
    for (month, days) in DAYS.into_iter().enumerate() {
        if day < days {
            return (month as u32 + 1, day + 1);
        }
        day -= days;
    }
    (12, 31)
}

fn note(chance: f32) -> &'static str {
    match chance {
        _ if chance > 0.985 => "\"Please ring twice, the bell is quiet\"",
        _ if chance > 0.97 => "gift",
        _ if chance > 0.962 => "\"Leave with the neighbour, flat 3\"",
        _ if chance > 0.955 => "Für Zoë ♥",
        _ => "",
    }
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_in_the_repository_is_current() {
        let kept = include_str!("../../../files/orders.csv");
        assert!(
            kept == write(ROWS),
            "run `cargo run -p samples --bin make-samples` and commit what changes"
        );
    }

    #[test]
    fn every_date_exists() {
        for row in 0..ROWS {
            let (_, day) = date(row, ROWS);
            let (month, day) = month_and_day(day);
            assert!((1..=12).contains(&month) && (1..=31).contains(&day));
        }
    }
}
