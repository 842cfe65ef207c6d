//! A running job on a terminal: a bar for the job and one for each step, redrawn at each event.

use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Color, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use job::{Job, Status, Step, StepStatus};

use crate::cli::error::CliError;
use crate::cli::show::job::{Look, Seen, items, millis, step_millis};
use crate::cli::show::output::{columns, duration};
use crate::cli::show::text::{BOLD, DIM, PLAIN, RED, Text, YELLOW, padded, paint, shorten, width};
use crate::cli::show::view::View;

/// Interval between two pictures of the spinner.
const TICK: Duration = Duration::from_millis(120);
/// The spinner's pictures. The last one is shown when the bar no longer moves.
const TICKS: &str = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ";
/// Width of a bar in characters.
const BAR: usize = 24;
const FILLED: &str = "━╸─";
/// Columns at the end of a line that stay free, so that the `^C` of the terminal does not begin
/// another line.
const MARGIN: usize = 4;
/// Minimum columns for the words when the bar is narrowed.
const LEAST_WORDS: usize = 10;
/// Minimum width of a bar; a narrower one is not shown.
const LEAST_BAR: usize = 4;
/// Columns of a line besides its name, its bar and its words: the mark, and the percentage.
const FIXED: usize = 2 + " 100%".len();

/// Indentation of a step.
const INDENT: &str = "  ";

/// Texts, each in its style.
type Words = Vec<(Style, String)>;

/// The bars of one job.
#[derive(Debug)]
pub(crate) struct Bars {
    multi: MultiProgress,
    whole: ProgressBar,
    steps: Vec<ProgressBar>,
    title: Option<String>,
    width: usize,
    /// Whether the steps are shown only while the job runs.
    brief: bool,
    last: Option<Job>,
}

impl Bars {
    /// Bars for one job, whose steps stay on the screen.
    pub(crate) fn new() -> Bars {
        Bars::within(&MultiProgress::new(), None, 0, false)
    }

    /// Bars for one of several jobs: titles are padded to `width`, and steps are shown only while
    /// the job runs.
    pub(crate) fn among(multi: &MultiProgress, title: &str, width: usize) -> Bars {
        Bars::within(multi, Some(title.to_owned()), width, true)
    }

    fn within(multi: &MultiProgress, title: Option<String>, width: usize, brief: bool) -> Bars {
        let bars = Bars {
            multi: multi.clone(),
            whole: multi.add(ProgressBar::new(100)),
            steps: Vec::new(),
            title,
            width,
            brief,
            last: None,
        };
        bars.whole
            .set_style(style(DIM, "{spinner}", "", bars.layout()));
        bars.whole.set_prefix(bars.titled(""));
        bars.whole.enable_steady_tick(TICK);
        bars
    }

    fn update(&mut self, job: &Job) {
        let names = job
            .steps
            .iter()
            .map(|step| width(&step.name) + INDENT.len());
        let names = names.chain([width(&job.job_type)]);
        self.width = self.width.max(names.max().unwrap_or(0));
        self.whole.set_prefix(self.titled(&job.job_type));
        self.turn(job.status);
        self.whole.set_position(job.progress.into());
        self.set_words(whole_words(job));
        let shows_steps = !self.brief || matches!(job.status, Status::Running | Status::Waiting);
        let steps = if shows_steps { &*job.steps } else { &[] };
        while self.steps.len() > steps.len() {
            if let Some(bar) = self.steps.pop() {
                bar.finish_and_clear();
                self.multi.remove(&bar);
            }
        }
        while self.steps.len() < steps.len() {
            let last = self.steps.last().unwrap_or(&self.whole);
            let bar = self.multi.insert_after(last, ProgressBar::new(100));
            self.steps.push(bar);
        }
        for (bar, step) in self.steps.iter().zip(steps) {
            let layout = self.layout();
            let (status, name) = (step.status, layout.name.saturating_sub(INDENT.len()));
            bar.set_style(style(status.style(), status.mark(), INDENT, layout));
            bar.set_prefix(padded(&shorten(&step.name, name), name));
            bar.set_position(step.progress.into());
            bar.set_message(fit(step_words(step), layout.words));
        }
    }

    /// Sets the style of this status.
    fn turn(&self, status: Status) {
        let moves = !status.is_terminal() && status != Status::Queued;
        let mark = if moves { "{spinner}" } else { status.mark() };
        self.whole
            .set_style(style(status.style(), mark, "", self.layout()));
        if self.last.as_ref().map(|last| last.status) == Some(status) {
            return;
        }
        if moves {
            self.whole.enable_steady_tick(TICK);
        } else {
            self.whole.disable_steady_tick();
        }
    }

    fn titled(&self, job_type: &str) -> String {
        let (title, width) = (
            self.title.as_deref().unwrap_or(job_type),
            self.layout().name,
        );
        shown(&paint(BOLD, padded(&shorten(title, width), width)))
    }

    fn set_words(&self, words: Words) {
        self.whole.set_message(fit(words, self.layout().words));
    }

    /// The widths of the parts of a line on this terminal.
    fn layout(&self) -> Layout {
        columns().map_or(
            Layout {
                name: self.width,
                bar: BAR,
                words: usize::MAX,
            },
            |columns| Layout::of(columns, self.width),
        )
    }
}

/// Widths of the parts of a line, in columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    name: usize,
    bar: usize,
    words: usize,
}

impl Layout {
    /// The widths on a terminal of `columns` columns, for names of at most `width`. The words are
    /// shortened first, then the bar is left out, then names are cut.
    fn of(columns: usize, width: usize) -> Layout {
        let room = columns.saturating_sub(MARGIN + FIXED);
        let name = width.min(room).max(1);
        let room = room.saturating_sub(name);
        // A space before the bar, two before the words.
        let bar = BAR.min(room.saturating_sub(3 + LEAST_WORDS));
        let bar = if bar < LEAST_BAR { 0 } else { bar };
        let words = room.saturating_sub(2 + if bar > 0 { bar + 1 } else { 0 });
        Layout { name, bar, words }
    }
}

impl Drop for Bars {
    /// Keeps everything on the screen, and moves the cursor below it.
    fn drop(&mut self) {
        self.whole.disable_steady_tick();
        for bar in [&self.whole].into_iter().chain(&self.steps) {
            bar.abandon();
        }
    }
}

impl View for Bars {
    fn job(&mut self, seen: &Seen) {
        self.update(&seen.job);
        self.last = Some(seen.job.clone());
    }

    fn lost(&mut self, why: &CliError) {
        let reason = why.brief();
        self.set_words(vec![(
            YELLOW,
            format!("out of date, connecting again: {reason}"),
        )]);
    }

    fn back(&mut self) {
        // If nothing happened meanwhile, no event would restore the job's words.
        self.set_words(self.last.as_ref().map(whole_words).unwrap_or_default());
    }
}

fn style(colour: Style, mark: &str, indent: &str, layout: Layout) -> ProgressStyle {
    let name = match colour.get_fg_color() {
        Some(Color::Ansi(AnsiColor::Green)) => "green",
        Some(Color::Ansi(AnsiColor::Red)) => "red",
        Some(Color::Ansi(AnsiColor::Yellow)) => "yellow",
        Some(Color::Ansi(AnsiColor::Cyan)) => "cyan",
        _ => "dim",
    };
    let mark = match mark {
        "{spinner}" => format!("{{spinner:.{name}}}"),
        mark => shown(&paint(colour, mark)),
    };
    let bar = match layout.bar {
        0 => String::new(),
        width => format!("{{bar:{width}.{name}/dim}} "),
    };
    let template = format!("{indent}{mark} {{prefix}} {bar}{{pos:>3}}%  {{msg}}");
    ProgressStyle::with_template(&template)
        .expect("the template is well-formed")
        .progress_chars(FILLED)
        .tick_chars(TICKS)
}

fn whole_words(job: &Job) -> Words {
    let mut words = vec![(job.status.style(), job.status.as_str().to_owned())];
    if job.attempt > 1 {
        words.push((DIM, format!("attempt {}", job.attempt)));
    }
    words.extend(match (&job.error, &job.message, millis(job)) {
        (Some(error), ..) => Some((RED, error.name.clone())),
        (None, _, Some(millis)) => Some((PLAIN, format!("in {}", duration(millis)))),
        (None, message, None) => message.clone().map(|message| (DIM, message)),
    });
    words
}

fn step_words(step: &Step) -> Words {
    let mut words = Words::new();
    words.extend(items(step).map(|items| (PLAIN, items)));
    match step.status {
        StepStatus::Pending | StepStatus::Running | StepStatus::Succeeded | StepStatus::Failed => {}
        other => words.push((other.style(), other.as_str().to_owned())),
    }
    if step.attempt > 1 {
        words.push((YELLOW, format!("try {}", step.attempt)));
    }
    if let Some(error) = &step.error {
        words.push((RED, format!("{}: {}", error.name, error.message)));
    } else if let Some(millis) = step_millis(step).filter(|_| step.status == StepStatus::Succeeded)
    {
        words.push((DIM, duration(millis)));
    }
    words
}

/// The words, cut to `room` columns.
fn fit(words: Words, mut room: usize) -> String {
    let mut text = Text::default();
    for (at, (style, word)) in words.into_iter().enumerate() {
        if room < 2 {
            break;
        }
        let word = shorten(&word, room);
        room = room.saturating_sub(width(&word) + 1);
        if at > 0 {
            text.add(" ");
        }
        text.add(paint(style, word));
    }
    shown(&text)
}

/// The text, without colours if they are disabled.
fn shown(text: &Text) -> String {
    match AutoStream::choice(&std::io::stderr()) {
        ColorChoice::Never => text.unstyled(),
        _ => text.styled().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_into_its_terminal() {
        let layout = |columns, width| {
            let Layout { name, bar, words } = Layout::of(columns, width);
            (name, bar, words)
        };
        assert_eq!(layout(80, 15), (15, BAR, 27));
        assert_eq!(layout(46, 15), (15, 7, 10));
        assert_eq!(layout(40, 15), (15, 0, 12));
        assert_eq!(layout(20, 15), (9, 0, 0));
        for columns in 1..200 {
            for width in 1..60 {
                let Layout { name, bar, words } = Layout::of(columns, width);
                let gaps = usize::from(bar > 0) + if words > 0 { 2 } else { 0 };
                let line = FIXED + name + bar + words + gaps;
                assert!(
                    line <= columns || columns < FIXED + MARGIN + 1,
                    "{columns} {width}: {line}"
                );
            }
        }
    }

    #[test]
    fn words_are_cut_to_the_width() {
        let words = || {
            vec![
                (RED, "東京東京".to_owned()),
                (PLAIN, "\u{1b}[2Jx".to_owned()),
            ]
        };
        for room in 0..30 {
            let bare = anstream::adapter::strip_str(&fit(words(), room)).to_string();
            assert!(width(&bare) <= room, "{room}: {bare:?}");
        }
        assert!(!fit(words(), usize::MAX).contains("\u{1b}[2J"));
    }
}
