//! The schema as text that AppSync accepts: AppSync's own scalars and directives are applied and
//! not declared.

use super::bare_schema;

/// The text of `schema.graphql`.
#[must_use]
pub fn sdl() -> String {
    let text = bare_schema().sdl();
    let mut lines: Vec<String> = Vec::new();
    let mut skipping_description = Vec::new();
    for line in text.lines() {
        // A description precedes the item that it describes. It is held back until it is known
        // whether the item is kept.
        let described = line.trim_start().starts_with("\"\"\"")
            || !skipping_description.is_empty() && !ends_description(&skipping_description);
        if described {
            skipping_description.push(line.replace('\t', "  "));
            continue;
        }
        if line.starts_with("scalar AWS") || line.starts_with("directive @") {
            skipping_description.clear();
            continue;
        }
        lines.append(&mut skipping_description);
        lines.push(apply_directives(line));
    }
    let mut text = lines.join("\n");
    while text.contains("\n\n\n") {
        text = text.replace("\n\n\n", "\n\n");
    }
    format!("{}\n", text.trim())
}

fn ends_description(lines: &[String]) -> bool {
    let quotes: usize = lines
        .iter()
        .map(|line| line.matches("\"\"\"").count())
        .sum();
    quotes.is_multiple_of(2)
}

fn apply_directives(line: &str) -> String {
    let field = line.trim_start();
    if field.starts_with("publishJob(") || field.starts_with("reportProgress(") {
        return format!("{} @aws_iam", line.replace('\t', "  "));
    }
    if field.starts_with("onJob(") || field.starts_with("onJobs(") {
        return format!(
            "{} @aws_subscribe(mutations: [\"publishJob\"])",
            line.replace('\t', "  ")
        );
    }
    line.replace('\t', "  ")
}
