//! Figures next to their goals, as text, as Markdown and as JSON. This module measures nothing.

use std::fmt::Display;
use std::io::Write as _;
use std::time::Duration;

use serde::Serialize;

/// How the figures are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Markdown,
    Json,
}

/// The goal of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

/// One measured number.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    what: String,
    value: f64,
    unit: &'static str,
    goal: Option<String>,
    met: Option<bool>,
    /// The ratio of the figure to its goal, or of the goal to the figure if the goal is a minimum.
    /// A goal is missed above 1.
    #[serde(skip)]
    missed_by: f64,
}

impl Figure {
    fn new(what: impl Into<String>, value: f64, unit: &'static str, goal: Option<Goal>) -> Figure {
        let met = goal.map(|goal| match goal {
            Goal::AtLeast(least) => value >= least,
            Goal::AtMost(most) => value <= most,
        });
        let missed_by = match goal {
            Some(Goal::AtLeast(least)) => times(least, value),
            Some(Goal::AtMost(most)) => times(value, most),
            None => 0.0,
        };
        let goal = goal.map(|goal| match goal {
            Goal::AtLeast(least) => format!("≥ {}", number(least)),
            Goal::AtMost(most) => format!("≤ {}", number(most)),
        });
        Figure {
            what: what.into(),
            value,
            unit,
            goal,
            met,
            missed_by,
        }
    }
}

/// The factor between two figures, at least 1.
fn times(this: f64, of: f64) -> f64 {
    if this <= of { 1.0 } else { this / of }
}

/// The figures of one benchmark.
#[derive(Debug, Serialize)]
pub(crate) struct Section {
    name: &'static str,
    /// A description of the run, in one sentence.
    about: String,
    figures: Vec<Figure>,
}

impl Section {
    pub(crate) fn new(name: &'static str, about: impl Into<String>) -> Section {
        Section {
            name,
            about: about.into(),
            figures: Vec::new(),
        }
    }

    /// A number without a goal: a baseline, or an explanation of another number.
    pub(crate) fn plain(&mut self, what: impl Into<String>, value: f64, unit: &'static str) {
        self.figures.push(Figure::new(what, value, unit, None));
    }

    pub(crate) fn at_least(
        &mut self,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
        goal: f64,
    ) {
        self.figures
            .push(Figure::new(what, value, unit, Some(Goal::AtLeast(goal))));
    }

    pub(crate) fn at_most(
        &mut self,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
        goal: f64,
    ) {
        self.figures
            .push(Figure::new(what, value, unit, Some(Goal::AtMost(goal))));
    }

    /// p50 and p99 in milliseconds, each next to its goal.
    pub(crate) fn latency(&mut self, what: &str, times: &mut Times, goals: Option<(f64, f64)>) {
        for (name, share, goal) in [
            ("p50", 0.5, goals.map(|goals| goals.0)),
            ("p99", 0.99, goals.map(|goals| goals.1)),
        ] {
            self.figures.push(Figure::new(
                format!("{what}, {name}"),
                times.millis(share),
                "ms",
                goal.map(Goal::AtMost),
            ));
        }
    }
}

/// Measured times.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times {
    micros: Vec<u64>,
    sorted: bool,
}

impl Times {
    pub(crate) fn add(&mut self, time: Duration) {
        self.sorted = false;
        self.micros
            .push(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn extend(&mut self, other: Times) {
        self.sorted = false;
        self.micros.extend(other.micros);
    }

    pub(crate) fn len(&self) -> usize {
        self.micros.len()
    }

    /// The quantile of the times in milliseconds (nearest rank); 0 without any time.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts and times of a benchmark are far below 2^52"
    )]
    pub(crate) fn millis(&mut self, share: f64) -> f64 {
        if !self.sorted {
            self.micros.sort_unstable();
            self.sorted = true;
        }
        let rank = (self.micros.len() as f64 * share).ceil() as usize;
        let micros = self.micros.get(rank.saturating_sub(1)).copied();
        micros.unwrap_or(0) as f64 / 1_000.0
    }
}

/// Prints each section when it is complete; JSON is printed at the end.
#[derive(Debug)]
pub(crate) struct Report {
    format: Format,
    sections: Vec<Section>,
}

impl Report {
    pub(crate) fn new(format: Format) -> Report {
        let report = Report {
            format,
            sections: Vec::new(),
        };
        if format == Format::Markdown {
            print("| benchmark | figure | value | goal | met |");
            print("|---|---|---:|---|---|");
        }
        report
    }

    pub(crate) fn add(&mut self, section: Section) {
        match self.format {
            Format::Text => text(&section),
            Format::Markdown => markdown(&section),
            Format::Json => {}
        }
        self.sections.push(section);
    }

    /// The figures that miss their goals by more than this factor.
    pub(crate) fn missed_by(&self, factor: f64) -> Vec<String> {
        let figures = self.sections.iter().flat_map(|section| {
            let of = |figure| (section.name, figure);
            section.figures.iter().map(of)
        });
        figures
            .filter(|(_, figure)| figure.missed_by > factor)
            .map(|(name, figure)| {
                let (value, unit) = (number(figure.value), figure.unit);
                let goal = figure.goal.as_deref().unwrap_or_default();
                format!("{name}: {} is {value} {unit}, goal {goal}", figure.what)
            })
            .collect()
    }

    pub(crate) fn end(&self) {
        if self.format == Format::Json {
            let text = serde_json::to_string_pretty(&self.sections);
            print(text.expect("figures are JSON"));
        }
    }
}

fn text(section: &Section) {
    print("");
    print(format_args!("{}: {}", section.name, section.about));
    let width = |of: fn(&Figure) -> usize| section.figures.iter().map(of).max().unwrap_or(0);
    let names = width(|figure| figure.what.chars().count());
    let values = width(|figure| number(figure.value).chars().count());
    for figure in &section.figures {
        let goal = match (&figure.goal, figure.met) {
            (Some(goal), Some(true)) => format!("   goal {goal}: met"),
            (Some(goal), _) => format!("   goal {goal}: MISSED"),
            _ => String::new(),
        };
        print(format_args!(
            "  {:names$}  {:>values$} {}{goal}",
            figure.what,
            number(figure.value),
            figure.unit,
        ));
    }
}

fn markdown(section: &Section) {
    for figure in &section.figures {
        print(format_args!(
            "| {} | {} | {} {} | {} | {} |",
            section.name,
            figure.what,
            number(figure.value),
            figure.unit,
            figure.goal.as_deref().unwrap_or(""),
            match figure.met {
                Some(true) => "yes",
                Some(false) => "no",
                None => "",
            }
        ));
    }
}

/// Three significant digits below a thousand, groups of three above.
fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1_000.0 {
        let digits = format!("{:.0}", size);
        let mut grouped = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        return if value < 0.0 {
            format!("-{grouped}")
        } else {
            grouped
        };
    }
    let places = match size {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.places$}");
    if text.contains('.') {
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    text
}

/// Prints a line. A reader that has closed the output is not an error.
fn print(line: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_three_significant_digits() {
        for (value, text) in [
            (0.0, "0"),
            (0.1234, "0.123"),
            (2.5, "2.5"),
            (12.34, "12.3"),
            (345.6, "346"),
            (1_300.4, "1,300"),
            (1_234_567.0, "1,234,567"),
            (-4.0, "-4"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_quantile_is_the_nearest_rank() {
        let mut times = Times::default();
        assert_eq!(times.millis(0.5), 0.0);
        for millis in (1..=100).rev() {
            times.add(Duration::from_millis(millis));
        }
        assert_eq!((times.millis(0.5), times.millis(0.99)), (50.0, 99.0));
        assert_eq!(times.millis(1.0), 100.0);
    }

    #[test]
    fn a_goal_is_met_at_its_limit() {
        let figure = |value, goal| Figure::new("", value, "", Some(goal)).met;
        assert_eq!(figure(5.0, Goal::AtMost(5.0)), Some(true));
        assert_eq!(figure(5.1, Goal::AtMost(5.0)), Some(false));
        assert_eq!(figure(5.0, Goal::AtLeast(5.0)), Some(true));
        assert_eq!(figure(4.9, Goal::AtLeast(5.0)), Some(false));
    }

    #[test]
    fn a_goal_is_missed_by_a_factor() {
        let mut section = Section::new("some", "");
        section.plain("no goal", 1e9, "ms");
        section.at_most("at most", 50.0, "ms", 10.0);
        section.at_least("at least", 2.0, "ms", 10.0);
        section.at_most("none", 1.0, "", 0.0);
        section.at_most("met", 0.0, "", 0.0);
        section.at_least("nothing", 0.0, "", 0.0);
        let mut report = Report::new(Format::Json);
        report.add(section);
        let names = |factor| {
            let missed = report.missed_by(factor);
            missed.join("; ")
        };
        assert_eq!(names(5.0), "some: none is 1 , goal ≤ 0");
        let missed = names(4.9);
        assert!(
            missed.contains("some: at most is 50 ms, goal ≤ 10"),
            "{missed}"
        );
        assert!(
            missed.contains("some: at least is 2 ms, goal ≥ 10"),
            "{missed}"
        );
        assert_eq!(report.missed_by(1.0).len(), 3);
    }
}
