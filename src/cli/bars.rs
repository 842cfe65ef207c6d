//! A running job on a terminal: a bar for the whole and one for each step, redrawn as news comes.

use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use job::{Job, Status, Step, StepStatus};

use super::error::CliError;
use super::follow::Show;
use super::job::{Look, Seen, items, millis, step_millis};
use super::output::{BOLD, DIM, RED, YELLOW, duration, paint};

/// How often the sign of life turns.
const TICK: Duration = Duration::from_millis(120);
/// Characters of a bar.
const FILLED: &str = "━╸─";

/// The bars of one job.
#[derive(Debug)]
pub(super) struct Bars {
    multi: MultiProgress,
    whole: ProgressBar,
    steps: Vec<ProgressBar>,
    title: String,
    width: usize,
    /// Whether the steps are shown only while the job runs.
    brief: bool,
    status: Option<Status>,
}

impl Bars {
    /// For a job whose steps stay on the screen; `title` stands before its bar.
    pub(super) fn new(title: &str) -> Bars {
        Bars::within(&MultiProgress::new(), title, 0, false)
    }

    /// One of several jobs: titles as wide as `width`, and steps only while the job runs.
    pub(super) fn among(multi: &MultiProgress, title: &str, width: usize) -> Bars {
        Bars::within(multi, title, width, true)
    }

    fn within(multi: &MultiProgress, title: &str, width: usize, brief: bool) -> Bars {
        let whole = multi.add(ProgressBar::new(100));
        let bars = Bars {
            multi: multi.clone(),
            whole,
            steps: Vec::new(),
            title: title.to_owned(),
            width: width.max(title.chars().count()),
            brief,
            status: None,
        };
        bars.whole.set_style(style(Status::Queued.style(), "·", ""));
        bars.whole.set_prefix(bars.titled());
        bars
    }

    fn update(&mut self, job: &Job) {
        let names = job.steps.iter().map(|step| step.name.chars().count() + 2);
        self.width = self.width.max(names.max().unwrap_or(0));
        self.whole.set_prefix(self.titled());
        if self.status != Some(job.status) {
            self.turn(job);
        }
        self.whole.set_position(job.progress.into());
        self.whole.set_message(shown(&whole_words(job)));
        let steps = if self.brief && (job.status.is_terminal() || job.status == Status::Queued) {
            &[]
        } else {
            &*job.steps
        };
        while self.steps.len() > steps.len() {
            if let Some(bar) = self.steps.pop() {
                bar.finish_and_clear();
                self.multi.remove(&bar);
            }
        }
        while self.steps.len() < steps.len() {
            let last = self.steps.last().unwrap_or(&self.whole);
            self.steps
                .push(self.multi.insert_after(last, ProgressBar::new(100)));
        }
        for (bar, step) in self.steps.iter().zip(steps) {
            let name = format!("  {}", step.name);
            bar.set_style(style(step.status.style(), step.status.mark(), "  "));
            bar.set_prefix(format!(
                "{:<width$}",
                step.name,
                width = self.width.max(name.len()) - 2
            ));
            bar.set_position(step.progress.into());
            bar.set_message(shown(&step_words(step)));
        }
    }

    /// Another status: another look.
    fn turn(&mut self, job: &Job) {
        self.status = Some(job.status);
        let moves = matches!(job.status, Status::Running | Status::Waiting);
        let mark = if moves {
            "{spinner}"
        } else {
            job.status.mark()
        };
        self.whole.set_style(style(job.status.style(), mark, ""));
        if moves {
            self.whole.enable_steady_tick(TICK);
        } else {
            self.whole.disable_steady_tick();
        }
    }

    fn titled(&self) -> String {
        shown(&paint(
            BOLD,
            format_args!("{:<width$}", self.title, width = self.width),
        ))
    }

    /// Leaves everything on the screen as it is, and the cursor below it.
    fn leave(&self) {
        for bar in self.steps.iter().chain([&self.whole]) {
            bar.disable_steady_tick();
            bar.abandon();
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Show for Bars {
    fn job(&mut self, seen: &Seen) {
        self.update(&seen.job);
    }

    fn lost(&mut self, why: &CliError) {
        let text = why.to_string();
        let text = text.lines().next().unwrap_or_default();
        let text = paint(YELLOW, format_args!("out of date: {text}; trying again"));
        self.whole.set_message(shown(&text));
    }

    fn back(&mut self) {
        // The event that follows says the rest; there is none if nothing happened meanwhile.
        self.whole.set_message("");
    }
}

fn style(colour: anstyle::Style, mark: &str, indent: &str) -> ProgressStyle {
    let name = match colour.get_fg_color() {
        Some(anstyle::Color::Ansi(anstyle::AnsiColor::Green)) => "green",
        Some(anstyle::Color::Ansi(anstyle::AnsiColor::Red)) => "red",
        Some(anstyle::Color::Ansi(anstyle::AnsiColor::Yellow)) => "yellow",
        Some(anstyle::Color::Ansi(anstyle::AnsiColor::Cyan)) => "cyan",
        _ => "dim",
    };
    let mark = match mark {
        "{spinner}" => format!("{{spinner:.{name}}}"),
        mark => shown(&paint(colour, mark)),
    };
    let template =
        format!("{indent}{mark} {{prefix}} {{bar:24.{name}/dim}} {{pos:>3}}%  {{wide_msg}}");
    ProgressStyle::with_template(&template)
        .expect("the template is well-formed")
        .progress_chars(FILLED)
        .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ")
}

fn whole_words(job: &Job) -> String {
    let status = paint(job.status.style(), job.status);
    let attempt = match job.attempt {
        0 | 1 => String::new(),
        more => format!(" attempt {more}"),
    };
    let told = match (&job.error, &job.message, millis(job)) {
        (Some(error), ..) => format!(" {}", paint(RED, &error.name)),
        (None, _, Some(millis)) => format!(" in {}", duration(millis)),
        (None, Some(message), None) => format!(" {}", paint(DIM, message)),
        (None, None, None) => String::new(),
    };
    format!("{status}{attempt}{told}")
}

fn step_words(step: &Step) -> String {
    let mut words = Vec::new();
    words.extend(items(step));
    match step.status {
        StepStatus::Waiting
        | StepStatus::Skipped
        | StepStatus::Cancelled
        | StepStatus::TimedOut => {
            words.push(paint(step.status.style(), step.status.as_str()));
        }
        _ => {}
    }
    if step.attempt > 1 {
        words.push(format!("try {}", step.attempt));
    }
    match (&step.error, step_millis(step)) {
        (Some(error), _) => words.push(paint(
            RED,
            format_args!("{}: {}", error.name, error.message),
        )),
        (None, Some(millis)) if step.status == StepStatus::Succeeded => {
            words.push(paint(DIM, duration(millis)))
        }
        _ => {}
    }
    words.join("  ")
}

/// Without colours where there must be none.
fn shown(text: &str) -> String {
    match AutoStream::choice(&std::io::stderr()) {
        ColorChoice::Never => anstream::adapter::strip_str(text).to_string(),
        _ => text.to_owned(),
    }
}
