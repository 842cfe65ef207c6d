//! The generated part of `docs/reference/configuration.md`: the flags of `serve`, their variables,
//! and every key of the file. `cargo xtask docs` writes it.

use super::{SETTINGS, ServeFlags};

const BEGIN: &str = "<!-- settings begin -->\n";
const END: &str = "<!-- settings end -->";

/// The generated part, between the markers.
fn reference() -> String {
    let mut text = String::from("\n| flag | variable | meaning |\n|---|---|---|\n");
    for argument in ServeFlags::arguments() {
        let (Some(flag), Some(variable)) = (argument.get_long(), argument.get_env()) else {
            continue;
        };
        let about = argument
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        text.push_str(&format!(
            "| `--{flag}` | `{}` | {} |\n",
            variable.display(),
            about.replace('|', "\\|")
        ));
    }
    text.push_str("\nThe file, with every key:\n\n```toml shown\n");
    for line in SETTINGS
        .lines()
        .skip_while(|line| !line.starts_with("    "))
    {
        match line.strip_prefix("    ") {
            Some(line) => text.push_str(line),
            None if line.is_empty() => {}
            None => break,
        }
        text.push('\n');
    }
    let text = text.trim_end();
    format!("{text}\n```\n\n")
}

#[test]
fn the_reference_has_the_settings_of_the_code() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/docs/reference/configuration.md"
    );
    let page = std::fs::read_to_string(path).expect("the page of the reference");
    let (before, rest) = page.split_once(BEGIN).expect("the first marker");
    let (_, after) = rest.split_once(END).expect("the second marker");
    let generated = format!("{before}{BEGIN}{}{END}{after}", reference());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, generated).expect("the page can be written");
        return;
    }
    assert!(
        page == generated,
        "docs/reference/configuration.md has other settings than the code: run `cargo xtask docs`"
    );
}
