//! Resource usage of processes, from `/proc`: CPU time of this program, of the server and of its
//! children; resident memory. Linux only: elsewhere the figures are 0.

use std::collections::HashMap;

/// Clock ticks of `/proc/PID/stat` in a second (`sysconf(_SC_CLK_TCK)` is 100 on every Linux that
/// Rust supports).
const TICKS: f64 = 100.0;

/// CPU seconds used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) server: f64,
    /// The processes below the server: the functions and their supervisors.
    pub(crate) functions: f64,
    /// This program.
    pub(crate) client: f64,
    /// The whole machine, all processes.
    machine: f64,
}

impl Cpu {
    /// The usage now; `server` is a process id.
    pub(crate) fn now(server: Option<u32>) -> Cpu {
        let mut cpu = Cpu {
            client: of(std::process::id()).map_or(0.0, |(_, used)| used),
            machine: machine().unwrap_or(0.0),
            ..Cpu::default()
        };
        if let Some(server) = server {
            let all = processes();
            cpu.server = all.get(&server).map_or(0.0, |(_, used)| *used);
            cpu.functions = below(server, &all);
        }
        cpu
    }

    /// The usage since `before`.
    pub(crate) fn since(self, before: Cpu) -> Cpu {
        Cpu {
            server: self.server - before.server,
            functions: self.functions - before.functions,
            client: self.client - before.client,
            machine: self.machine - before.machine,
        }
    }

    pub(crate) fn total(self) -> f64 {
        self.server + self.functions + self.client
    }

    /// The usage of programs outside the benchmark.
    pub(crate) fn others(self) -> f64 {
        (self.machine - self.total()).max(0.0)
    }
}

/// CPU seconds of all processes below `top`.
fn below(top: u32, all: &HashMap<u32, (u32, f64)>) -> f64 {
    let mut found = vec![top];
    let mut used = 0.0;
    while let Some(parent) = found.pop() {
        let children = all.iter().filter(|(_, (of, _))| *of == parent);
        for (id, (_, seconds)) in children {
            used += seconds;
            found.push(*id);
        }
    }
    used
}

/// Parent and CPU seconds of every process.
fn processes() -> HashMap<u32, (u32, f64)> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return HashMap::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|id: u32| Some((id, of(id)?)))
        .collect()
}

/// Parent and CPU seconds (proc(5), `/proc/pid/stat`, fields 4, 14 and 15).
fn of(id: u32) -> Option<(u32, f64)> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in parentheses, may contain any character.
    let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse::<f64>().ok();
    Some((
        fields.get(1)?.parse().ok()?,
        (number(11)? + number(12)?) / TICKS,
    ))
}

/// User, nice, system, irq and softirq time of all processors.
fn machine() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let fields: Vec<f64> = text
        .lines()
        .next()?
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    let ticks: f64 = [0, 1, 2, 5, 6]
        .into_iter()
        .filter_map(|place| fields.get(place))
        .sum();
    Some(ticks / TICKS)
}

/// Resident memory in MB (10^6 bytes).
pub(crate) fn resident(id: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").trim().parse().ok());
    kib.unwrap_or(0.0) * 1_024.0 / 1_000_000.0
}

/// Processors that this program may use.
pub(crate) fn processors() -> f64 {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(count).map_or(1.0, f64::from)
}
