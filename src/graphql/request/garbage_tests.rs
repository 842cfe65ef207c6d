//! Random documents through everything that precedes the execution, on a small stack: valid ones
//! broken in several places, tokens in any order, and brackets without measure. Nothing panics,
//! nothing overflows the stack, and nothing takes long.
//!
//! `JOBCAST_CASES` is the number of cases, and `JOBCAST_TEST_SEED` the seed.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::graphql::check_document;

const EXAMPLES: [&str; 5] = [
    "query Q($a: ID! = \"x\", $b: [Int!] = [1, 2] @d, $c: JobFilter = {type: {eq: null}}) @d(x: {y: [1.5e3, true, NAME]}) { getJob(id: $a) { ...F id } }",
    "fragment F on Job @d { id ... on Job @skip(if: $b) { status steps { name error { message } } } ...G }",
    "{ a: listJobs(filter: {status: {in: [QUEUED, RUNNING]}, createdAt: {between: [\"2026-01-01T00:00:00Z\"]}}, limit: 5) { items { ...F } } }",
    "subscription S { onJobs(filter: {tags: {contains: \"\\u00e9\\uD83D\\uDE00\"}}) { kind job { id } } } # comment",
    "mutation { submitJob(input: {type: \"\"\"\n  block \\\"\"\" \n   text\"\"\", input: \"{}\"}) { id } }",
];

const TOKENS: [&str; 34] = [
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "...",
    ":",
    "$",
    "!",
    "@",
    "=",
    "|",
    "&",
    "\"",
    "\"\"\"",
    "\\",
    "#",
    "\n",
    "\u{feff}",
    "query",
    "fragment",
    "F",
    "on",
    "Job",
    "id",
    "1",
    "-",
    "1.5",
    "true",
    "null",
    "é",
    "\\u12",
    "subscription",
];

fn document(rng: &mut StdRng) -> String {
    match rng.random_range(0..4) {
        0 => {
            let count = rng.random_range(0..200);
            let tokens = (0..count).map(|_| *TOKENS.choose(rng).expect("there are some"));
            tokens
                .collect::<Vec<_>>()
                .join([" ", ""][rng.random_range(0..2)])
        }
        1 => {
            let count = rng.random_range(0..20_000);
            let open = TOKENS.choose(rng).expect("there are some");
            let begin = EXAMPLES.choose(rng).expect("there are some");
            format!("{begin}{}", open.repeat(count))
        }
        _ => {
            let count = rng.random_range(1..6);
            let mut text: Vec<char> = (0..count)
                .flat_map(|_| EXAMPLES.choose(rng).expect("there are some").chars())
                .collect();
            for _ in 0..rng.random_range(0..8) {
                let at = rng.random_range(0..text.len());
                let end = (at + rng.random_range(0..12)).min(text.len());
                let new = TOKENS.choose(rng).expect("there are some");
                text.splice(at..end, new.chars());
            }
            text.into_iter().collect()
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn no_text_panics_or_takes_long() {
    let cases = number("JOBCAST_CASES").unwrap_or(2_000);
    let mut rng = StdRng::seed_from_u64(number("JOBCAST_TEST_SEED").unwrap_or(1));
    let small = std::thread::Builder::new().stack_size(256 * 1024);
    let checked = small.spawn(move || {
        for case in 0..cases {
            let text = document(&mut rng);
            let started = Instant::now();
            let errors = check_document(&text).err().unwrap_or_default();
            assert!(
                started.elapsed() < Duration::from_secs(2),
                "case {case}: {text}"
            );
            assert!(errors.len() < 64 * 1024, "case {case}: {errors}");
        }
    });
    checked.expect("a thread").join().expect("no panic");
}
