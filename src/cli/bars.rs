//! A running job on a terminal: a bar for the whole and one for each step, redrawn as news comes.

use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Color, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use job::{Job, Status, Step, StepStatus};

use super::error::CliError;
use super::follow::Show;
use super::job::{Look, Seen, items, millis, step_millis};
use super::output::{BOLD, DIM, RED, YELLOW, columns, duration, paint, shorten};

/// How often the sign of life turns.
const TICK: Duration = Duration::from_millis(120);
/// Its pictures; the last one is that of a bar that stands still.
const TICKS: &str = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ";
/// Characters of a bar, and what they are made of.
const BAR: usize = 24;
const FILLED: &str = "━╸─";
/// Columns at the end of a line that stay free, so that the `^C` of the terminal does not begin another one.
const MARGIN: usize = 4;
/// Columns for words in any case.
const LEAST_WORDS: usize = 10;

/// Texts, each in its style.
type Words = Vec<(Style, String)>;

/// The bars of one job.
#[derive(Debug)]
pub(super) struct Bars {
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
    /// For one job, whose steps stay on the screen.
    pub(super) fn new() -> Bars {
        Bars::within(&MultiProgress::new(), None, 0, false)
    }

    /// For one of several jobs: titles as wide as `width`, and steps only while the job runs.
    pub(super) fn among(multi: &MultiProgress, title: &str, width: usize) -> Bars {
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
        bars.whole.set_style(style(DIM, "{spinner}", ""));
        bars.whole.set_prefix(bars.titled(""));
        bars.whole.enable_steady_tick(TICK);
        bars
    }

    fn update(&mut self, job: &Job) {
        let names = job.steps.iter().map(|step| step.name.chars().count() + 2);
        let names = names.chain([job.job_type.chars().count()]);
        self.width = self.width.max(names.max().unwrap_or(0));
        self.whole.set_prefix(self.titled(&job.job_type));
        if self.last.as_ref().map(|last| last.status) != Some(job.status) {
            self.turn(job.status);
        }
        self.whole.set_position(job.progress.into());
        self.tell(whole_words(job));
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
            bar.set_style(style(step.status.style(), step.status.mark(), "  "));
            let width = self.width - 2;
            bar.set_prefix(format!("{:<width$}", step.name));
            bar.set_position(step.progress.into());
            bar.set_message(fit(step_words(step), self.room()));
        }
    }

    /// Another status: another look.
    fn turn(&self, status: Status) {
        let moves = !status.is_terminal() && status != Status::Queued;
        let mark = if moves { "{spinner}" } else { status.mark() };
        self.whole.set_style(style(status.style(), mark, ""));
        if moves {
            self.whole.enable_steady_tick(TICK);
        } else {
            self.whole.disable_steady_tick();
        }
    }

    fn titled(&self, job_type: &str) -> String {
        let (title, width) = (self.title.as_deref().unwrap_or(job_type), self.width);
        shown(&paint(BOLD, format_args!("{title:<width$}")))
    }

    fn tell(&self, words: Words) {
        self.whole.set_message(fit(words, self.room()));
    }

    /// Columns for the words after a bar.
    fn room(&self) -> usize {
        let before = "✔ ".chars().count() + self.width + 1 + BAR + " 100%  ".len();
        columns().map_or(usize::MAX, |columns| {
            columns.saturating_sub(before + MARGIN).max(LEAST_WORDS)
        })
    }
}

impl Drop for Bars {
    /// Leaves everything on the screen as it is, and the cursor below it.
    fn drop(&mut self) {
        self.whole.disable_steady_tick();
        for bar in [&self.whole].into_iter().chain(&self.steps) {
            bar.abandon();
        }
    }
}

impl Show for Bars {
    fn job(&mut self, seen: &Seen) {
        self.update(&seen.job);
        self.last = Some(seen.job.clone());
    }

    fn lost(&mut self, why: &CliError) {
        let reason = why.brief();
        self.tell(vec![(
            YELLOW,
            format!("out of date, connecting again: {reason}"),
        )]);
    }

    fn back(&mut self) {
        // When nothing happened meanwhile, no event says how the job is.
        self.tell(self.last.as_ref().map(whole_words).unwrap_or_default());
    }
}

fn style(colour: Style, mark: &str, indent: &str) -> ProgressStyle {
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
    let template =
        format!("{indent}{mark} {{prefix}} {{bar:{BAR}.{name}/dim}} {{pos:>3}}%  {{msg}}");
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
        (None, _, Some(millis)) => Some((Style::new(), format!("in {}", duration(millis)))),
        (None, message, None) => message.clone().map(|message| (DIM, message)),
    });
    words
}

fn step_words(step: &Step) -> Words {
    let mut words = Words::new();
    words.extend(items(step).map(|items| (Style::new(), items)));
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

/// As much of the words as there is room for.
fn fit(words: Words, mut room: usize) -> String {
    let mut text = String::new();
    for (style, word) in words {
        if room < 2 {
            break;
        }
        let word = shorten(&word, room);
        room = room.saturating_sub(word.chars().count() + 1);
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&paint(style, word));
    }
    shown(&text)
}

/// Without colours where there must be none.
fn shown(text: &str) -> String {
    match AutoStream::choice(&std::io::stderr()) {
        ColorChoice::Never => anstream::adapter::strip_str(text).to_string(),
        _ => text.to_owned(),
    }
}
