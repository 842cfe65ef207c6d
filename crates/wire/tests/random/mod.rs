//! Random input from a seed, and the loop that runs a decoder over it.

use std::time::{Duration, Instant, UNIX_EPOCH};

/// xorshift64*: random enough for the choices here.
pub struct Random(u64);

/// The pieces that are inserted into texts.
const JUNK: &[&str] = &[
    "{", "}", "[", "]", "\"", "\\", ",", ":", "\u{0}", "é", "null", "1e999", "\\ud800", " ", "\n",
];

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 8
    }

    /// Any byte.
    pub fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[7]
    }

    /// Less than `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    /// A text of the corpus with some bytes changed, cut out, or put in from another one.
    pub fn mutated(&mut self, corpus: &[&str]) -> Vec<u8> {
        let mut bytes = corpus[self.below(corpus.len())].as_bytes().to_vec();
        for _ in 0..self.below(4) {
            let at = self.below(bytes.len() + 1);
            let to = at + self.below(bytes.len() - at + 1);
            match self.below(5) {
                0 if at < bytes.len() => bytes[at] = self.byte(),
                1 => bytes.truncate(at),
                2 => {
                    let other = corpus[self.below(corpus.len())].as_bytes();
                    let from = self.below(other.len() + 1);
                    let to = from + self.below(other.len() - from + 1);
                    bytes.splice(at..at, other[from..to].iter().copied());
                }
                3 => {
                    bytes.drain(at..to);
                }
                _ => {
                    let junk = JUNK[self.below(JUNK.len())];
                    bytes.splice(at..at, junk.bytes());
                }
            }
        }
        bytes
    }
}

/// Says the seed when the test panics.
struct Running(u64);

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}", self.0);
        }
    }
}

/// Runs `once` with one seed after another: `times` times, or for the time in
/// `JOBCAST_FUZZ_SECONDS`.
pub fn fuzz(times: u64, mut once: impl FnMut(&mut Random)) {
    let seconds = std::env::var("JOBCAST_FUZZ_SECONDS").ok();
    let seconds = seconds.map(|seconds| Duration::from_secs(seconds.parse().unwrap()));
    // A long run begins with another seed each time.
    let first = match seconds {
        Some(_) => u64::try_from(UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap(),
        None => 1,
    };
    let began = Instant::now();
    for seed in first.. {
        let done = match seconds {
            Some(seconds) => began.elapsed() > seconds,
            None => seed > times,
        };
        if done {
            return;
        }
        let _running = Running(seed);
        once(&mut Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1));
    }
}
