//! A bounded fuzz run of each kind of text: mutated examples must not panic, hang or need much
//! memory. `JOBCAST_FUZZ_SECONDS` sets its length, `JOBCAST_FUZZ_SEED` its seed. The targets of
//! libFuzzer in `fuzz/`, which are guided by coverage, check the same.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
mod fuzzing;
mod generator;
mod simulation;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use asl::{StateMachine, Status};
use generator::Clock;

/// Maximum time for one text. A longer one hangs.
const HANG: Duration = Duration::from_secs(60);
/// Maximum memory of all these runs together, in bytes.
const MEMORY: u64 = 3 << 30;
/// Number of edits of one text.
const EDITS: usize = 6;
/// Maximum size of a text, in bytes.
const LONGEST: usize = 4_096;

const PATHS: &[&str] = &[
    "$",
    "$$",
    "$.a[0].b",
    "$..a",
    "$.a[*]",
    "$['c']['e f']",
    "$.a[0,1]",
    "$.a[-1:]",
    "$.a[?(@.a == 'x')]",
    "$.a[?(@.n > 1 && !(@.b in [1,2]))].length()",
    "$v.w",
    "$$.State.Name",
    "$.a[(@.length-1)]",
    "$.a.*",
    "$.n.max()",
];
const INTRINSICS: &[&str] = &[
    "States.Format('{} is {}', $.b, $.n)",
    "States.StringToJson($.b)",
    "States.JsonToString($)",
    "States.Array(1, 'a', null, $.a)",
    "States.ArrayPartition($.a, 2)",
    "States.ArrayContains($.a, 0)",
    "States.ArrayRange(1, 9, 2)",
    "States.ArrayGetItem($.a, 1)",
    "States.ArrayLength($.a)",
    "States.ArrayUnique($.a)",
    "States.Base64Encode('x')",
    "States.Base64Decode('eA==')",
    "States.Hash('x', 'SHA-256')",
    "States.JsonMerge($.c, $.c, false)",
    "States.MathRandom(1, 9, 3)",
    "States.MathAdd($.n, -1)",
    "States.StringSplit('a,b', ',')",
    "States.UUID()",
];
const QUERIES: &[&str] = &[
    "$states.input.a[1].b",
    "$sum($states.input.a.b[0])",
    "$map([1..9], function($v, $i) { $v * $i })",
    "($x := 4; $x ~> $string)",
    "{ 'a': $now(), 'b': [$uuid()] }",
    "$states.input ~> |a|{'z': 1}, ['b']|",
    "$match('abab', /a(b)/)",
    "$replace('x', /x/, 'y')",
    "$filter([1,2], function($v){$v > 1})^(>$)",
    "a.b.%.c@$v#$i[$v=1]",
    "$formatNumber(1.5, '#,##0.00')",
    "$toMillis('2026-01-01')",
    "n = 1 ? 'a' : $partition([1,2,3], 2)",
    "$parse('{\"a\":1}').a",
    "$hash('x', 'MD5') & $range(1, 5, 2)",
    "**[*].$keys()",
    "$reduce([1..5], function($a, $b){$a + $b})",
    "$pad('x', 20, '-')",
    "$states.input.a{$string(n): $sum(b)}",
    "$states.input.**.%.%.a[0]^(>b, <a)",
    "($f := function($x)<n-n:n>{ $x <= 0 ? 0 : 1 + $f($x - 1) }; $f(20))",
    "($g := $split(?, /[a-z](?:b|c)*/i, 3); ['a1', 'b2'].$g($))",
    "$states.input.a@$x.a@$y#$i[$x = $y].{'i': $i, 'x': $x}",
    "$sift($states.input, function($v, $k) { $k in ['a', 'n'] }) ~> $each(function($v, $k) { $k & $v })",
    "9223372036854775807 * [1, 2.5e300, -1/0][1] % 3 - $round(2.5, -1)",
    "$sort([3, 1, 2], function($l, $r) { $l > $r }) ~> $append($zip([1, 2], ['a', 'b'])[])",
    "$states.input ~> |**|{'z': $spread($)}, 'a'|",
    "$single([1..3], function($v) { $v = 2 }) ?: $lookup($states, 'input') ?? $distinct([1, 1.0, '1'])",
    "$substring($string({'a': [1/3, 1e21, null]}, true), -9, 5) & $base64encode('\\u00e9')",
    "$replace('a1b2', /([a-z])([0-9])/, '$2$1$$$0$12')",
    "$random(42) + $number('0x1F') + $parseInteger('twelve', 'w')",
    "$fromMillis(0, '[D1o] [MNn] [Y] [H]:[m01]', '+0100') & $formatBase(-255, 16)",
    "$eval('1')",
    "`e f` in ['x'] and not(false)",
];
const TOKENS: &[&str] = &[
    "$",
    "$$",
    "..",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    "'",
    "\"",
    "\\",
    ",",
    ".",
    "*",
    "?",
    "@",
    ":",
    "-1",
    "0",
    "1e308",
    "99999999999999999999",
    "null",
    "true",
    "States.",
    "$states.",
    ":=",
    "~>",
    "function($x){",
    "/",
    "|",
    "^(",
    "%",
    "#$i",
    "é",
    "\u{1F600}",
    "\u{0}",
    "{%",
    "%}",
    "\n",
    "\"Type\":\"Map\"",
    "\"End\":true",
    "\"Next\":\"S0\"",
    "[1..999999]",
    "&",
    "..[",
    "]]]]]]]]",
    "((((((((",
];

/// A linear congruential generator, as in `generator`.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % sides.max(1) as u64) as usize
    }
}

/// Edits characters rather than bytes, so that the text stays valid UTF-8.
fn mutate(text: &str, other: &str, dice: &mut Dice) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=dice.roll(EDITS) {
        let at = dice.roll(chars.len() + 1);
        let to = (at + 1 + dice.roll(12)).min(chars.len());
        match dice.roll(6) {
            0 => drop(chars.drain(at..to)),
            1 => {
                let copy: Vec<char> = chars[at..to.max(at)].to_vec();
                for _ in 0..=dice.roll(4) {
                    chars.splice(at..at, copy.iter().copied());
                }
            }
            2 | 3 => {
                let token = TOKENS[dice.roll(TOKENS.len())];
                chars.splice(at..at, token.chars());
            }
            4 => {
                let other: Vec<char> = other.chars().collect();
                let from = dice.roll(other.len() + 1);
                let until = (from + dice.roll(20)).min(other.len());
                chars.splice(at..at, other[from..until.max(from)].iter().copied());
            }
            _ => {
                if let Some(c) = chars.get_mut(at) {
                    *c = char::from_u32(u32::from(*c) ^ (1 << dice.roll(7))).unwrap_or('x');
                }
            }
        }
    }
    chars.truncate(LONGEST);
    chars.into_iter().collect()
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// The peak memory of this process, if the system reports it.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

fn fuzz(check: fn(&[u8]), examples: Vec<String>) {
    let end = Instant::now() + Duration::from_secs(number("JOBCAST_FUZZ_SECONDS", 2));
    let seed = number("JOBCAST_FUZZ_SEED", 1);
    let now = Arc::new(Mutex::new((Instant::now(), String::new())));
    let (finished, finish) = mpsc::channel::<()>();
    let worker = std::thread::spawn({
        let now = now.clone();
        move || {
            // Dropping it closes the channel, even after a panic.
            let _finished = finished;
            let (mut dice, mut texts) = (Dice(seed), examples.clone());
            let mut tried = 0_u64;
            while Instant::now() < end || tried == 0 {
                let text = &texts[dice.roll(texts.len())];
                let text = mutate(text, &examples[dice.roll(examples.len())], &mut dice);
                *now.lock().expect("nobody panics with it") = (Instant::now(), text.clone());
                let checked = catch_unwind(AssertUnwindSafe(|| check(text.as_bytes())));
                if let Err(panic) = checked {
                    eprintln!("panicked at {text:?} (seed {seed})");
                    resume_unwind(panic);
                }
                tried += 1;
                // Mutants of mutants differ more from the examples.
                if dice.roll(8) == 0 {
                    let place = examples.len() + dice.roll(256);
                    if place < texts.len() {
                        texts[place] = text;
                    } else {
                        texts.push(text);
                    }
                }
            }
            tried
        }
    });
    while finish.recv_timeout(Duration::from_millis(100)) == Err(mpsc::RecvTimeoutError::Timeout) {
        let (since, text) = now.lock().expect("nobody panics with it").clone();
        assert!(since.elapsed() < HANG, "hangs at {text:?} (seed {seed})");
    }
    let tried = worker.join().unwrap_or_else(|panic| resume_unwind(panic));
    let most = memory();
    println!("{tried} texts, at most {most:?} bytes");
    assert!(most.is_none_or(|most| most < MEMORY), "{most:?} bytes");
}

fn owned(examples: &[&str]) -> Vec<String> {
    examples.iter().map(|text| (*text).to_owned()).collect()
}

/// Machines of both query languages.
fn machines() -> Vec<String> {
    let kinds = [Clock::Virtual, Clock::Real].into_iter().cycle();
    (0..40)
        .zip(kinds)
        .map(|(seed, clock)| generator::machine(seed, clock).to_string())
        .collect()
}

#[test]
fn every_example_runs_to_its_end() {
    for text in machines() {
        let machine = Arc::new(StateMachine::parse(&text).expect(&text));
        let begin = simulation::start(generator::INPUT);
        let boom = |_: &asl::Task| simulation::Answer {
            outcome: Some(Err((
                generator::BOOM.0.to_owned(),
                generator::BOOM.1.to_owned(),
            ))),
            ..simulation::Answer::default()
        };
        let run = simulation::run(&machine, &begin, false, boom, |_| Ok("[1]".to_owned()));
        assert_ne!(run.execution.status(), Status::Running, "{text}");
        assert!(run.history.len() >= 3 && !run.journal.is_empty(), "{text}");
    }
}

#[test]
fn definitions() {
    fuzz(fuzzing::definition, machines());
}

#[test]
fn paths() {
    fuzz(fuzzing::path, owned(PATHS));
}

#[test]
fn intrinsics() {
    fuzz(fuzzing::intrinsic, owned(INTRINSICS));
}

#[test]
fn jsonata() {
    fuzz(fuzzing::jsonata, owned(QUERIES));
}
