//! The machine a figure was measured on, and what processes cost on it.

use serde::Serialize;

/// Printed with every figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Machine {
    pub cores: usize,
    pub cpu: String,
    pub memory_gib: u64,
    pub kernel: String,
}

impl Machine {
    pub fn here() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpu_info = read("/proc/cpuinfo");
        let cpu = cpu_info
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
            .map_or("unknown", |(_, name)| name.trim())
            .to_owned();
        let memory_kib: u64 = read("/proc/meminfo")
            .lines()
            .find_map(|line| {
                line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok()
            })
            .unwrap_or(0);
        Self {
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            cpu,
            memory_gib: memory_kib.div_ceil(1 << 20),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

/// What a process has used so far. Linux only; zeros elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Usage {
    pub cpu_seconds: f64,
    pub resident_bytes: u64,
    /// The highest it ever was.
    pub resident_peak_bytes: u64,
}

impl Usage {
    pub fn of(pid: u32) -> Self {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let kib = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse().ok())
                .unwrap_or(0_u64)
        };
        Self {
            cpu_seconds: cpu_seconds(&stat),
            resident_bytes: kib("VmRSS:") * 1_024,
            resident_peak_bytes: kib("VmHWM:") * 1_024,
        }
    }
}

/// CPU seconds that a Java process has spent on compiling its own code. A server that still
/// compiles is not the server that will run tomorrow, so figures wait until this stands still.
pub fn compiler_seconds(pid: u32) -> f64 {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return 0.0 };
    threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok())
        .filter(|stat| stat.contains("CompilerThre"))
        .map(|stat| cpu_seconds(&stat))
        .sum()
}

/// User and system time in a `stat` line of /proc. Clock ticks are 1/100 s on every Linux that we
/// know; the command's name may hold spaces, so fields are counted from behind it.
fn cpu_seconds(stat: &str) -> f64 {
    let fields: Vec<&str> =
        stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|it| it.parse::<u64>().ok());
    (ticks(11).unwrap_or(0) + ticks(12).unwrap_or(0)) as f64 / 100.0
}
