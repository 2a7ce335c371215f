//! Workers as child processes of a demo, a benchmark or a test: started, watched, stopped.
//!
//! Owns only processes that it started, by id. A worker whose parent dies is ended by its guard: it
//! reads its standard input, which the parent holds open, and stops when that closes.

use crate::config::Config;
use crate::runtime::telemetry;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

pub struct Worker {
    child: Child,
    pub log: PathBuf,
    /// Where this worker's part of the log begins.
    log_from: u64,
    address: Option<String>,
}

/// How a child worker is started.
#[derive(Clone, Debug)]
pub struct Start {
    pub program: PathBuf,
    /// Settings as `key=value`.
    pub settings: Vec<(String, String)>,
    pub log: PathBuf,
    /// Environment on top of ours, such as test switches.
    pub environment: Vec<(String, String)>,
}

impl Start {
    /// A worker of this very program (`tapline worker`) with a configuration's addresses and names.
    pub fn of(config: &Config, log: &Path) -> io::Result<Self> {
        Ok(Self {
            program: std::env::current_exe()?,
            settings: settings_of(config),
            log: log.to_owned(),
            environment: Vec::new(),
        })
    }

    pub fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.settings.retain(|(known, _)| known != key);
        self.settings.push((key.to_owned(), value.to_string()));
        self
    }

    /// A setting that must not stand among the arguments, such as a secret.
    pub fn in_environment(mut self, name: &str, value: impl ToString) -> Self {
        self.environment.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn spawn(&self) -> io::Result<Worker> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.program);
        command.arg("worker").arg("--with-parent");
        for (key, value) in &self.settings {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        // Configuration of the parent's own environment must not leak in twice.
        command
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::from(log.try_clone()?))
            .stderr(Stdio::from(log));
        let log_from = std::fs::metadata(&self.log)?.len();
        Ok(Worker { child: command.spawn()?, log: self.log.clone(), log_from, address: None })
    }
}

/// The settings by which a child finds the same servers, topics and tables, and everything that
/// somebody set of how a worker runs: a figure measured with other settings than those given would
/// be a wrong one.
pub fn settings_of(config: &Config) -> Vec<(String, String)> {
    let set = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let mut settings = vec![
        set("kafka.bootstrap", &config.kafka.bootstrap),
        set("kafka.topic_prefix", &config.kafka.topic_prefix),
        set("kafka.group_prefix", &config.kafka.group_prefix),
        set("kafka.partitions", &config.kafka.partitions.to_string()),
        set("cassandra.contact", &config.cassandra.contact.join(",")),
        set("cassandra.keyspace", &config.cassandra.keyspace),
        set("feed.buckets", &config.feed_buckets.to_string()),
        set("http.listen", "127.0.0.1:0"),
        // One of several workers may serve the API; whoever starts them says which.
        set("api.listen", "off"),
        set("log.format", "json"),
    ];
    let is_handed_on = |key: &str| HANDED_ON.iter().any(|start| key.starts_with(start));
    let chosen = config.effective().iter().filter(|line| line.origin != "default");
    settings.extend(
        chosen
            .filter(|line| is_handed_on(&line.key))
            .filter_map(|line| Some((line.key.clone(), line.value.clone()?))),
    );
    settings
}

/// Beginnings of the keys that say how a worker runs; none of them is a secret.
const HANDED_ON: [&str; 8] = [
    "push.",
    "runtime.",
    "kafka.linger",
    "kafka.compression",
    "kafka.properties.",
    "cassandra.in_flight",
    "dead_letters.",
    "limits.",
];

impl Worker {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// How it ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// SIGKILL, and gone when this returns.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM; waits for the end, then SIGKILL. `None`: it had to be killed.
    pub fn stop(&mut self, within: Duration) -> Option<ExitStatus> {
        self.signal("TERM");
        self.ends(within)
    }

    /// Waits for the end of a worker that was told to stop; then SIGKILL, `None`.
    pub fn ends(&mut self, within: Duration) -> Option<ExitStatus> {
        let deadline_ms = telemetry::steady_ms() + within.as_millis() as u64;
        while telemetry::steady_ms() < deadline_ms {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        self.kill();
        None
    }

    /// Sends a signal by its name, such as STOP or CONT.
    pub fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").arg(format!("-{name}")).arg(self.pid().to_string()).status();
        if let Err(error) = sent {
            tracing::warn!(%error, name, "the signal could not be sent");
        }
    }

    /// Next durable offset of each stage's partitions that it owns; empty while it cannot be asked.
    pub fn durable(&mut self) -> BTreeMap<(String, i32), i64> {
        let durable = |line: &Value| {
            let stage = line.get("stage")?.as_str()?.to_owned();
            let partition = i32::try_from(line.get("partition")?.as_i64()?).ok()?;
            Some(((stage, partition), line.get("durable")?.as_i64()?))
        };
        self.partitions().iter().filter_map(durable).collect()
    }

    /// Partitions that it owns and has loaded, of all its stages.
    pub fn taken(&mut self) -> usize {
        self.partitions().iter().filter(|line| !is_loading(line)).count()
    }

    /// Owns partitions and has loaded all of them.
    pub fn is_taking(&mut self) -> bool {
        let partitions = self.partitions();
        !partitions.is_empty() && !partitions.iter().any(is_loading)
    }

    fn partitions(&mut self) -> Vec<Value> {
        let Some(address) = self.address() else { return Vec::new() };
        // Not ready is an answer too: its body tells about the partitions.
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(2)))
            .build()
            .into();
        let Ok(mut answer) = agent.get(format!("http://{address}/readyz")).call() else {
            return Vec::new();
        };
        let body = answer.body_mut().read_to_string().unwrap_or_default();
        let report: Value = serde_json::from_str(&body).unwrap_or_default();
        report.get("partitions").and_then(Value::as_array).cloned().unwrap_or_default()
    }

    /// Address of its health page, from its log.
    pub fn address(&mut self) -> Option<String> {
        if self.address.is_none() {
            self.address = self
                .lines("health and metrics")
                .first()
                .and_then(|line| line.get("address").and_then(Value::as_str).map(str::to_owned));
        }
        self.address.clone()
    }

    /// Address of its feed page, from its log; `None`: it serves none, or not yet.
    pub fn page(&self) -> Option<String> {
        let lines = self.lines("feed API and page");
        lines.first()?.get("address").and_then(Value::as_str).map(str::to_owned)
    }

    /// Heads loaded at takeover and the seconds from the assignment to the last of them.
    pub fn takeover(&self) -> Option<(u64, f64)> {
        let time = |line: &Value| -> Option<jiff::Timestamp> {
            line.get("timestamp")?.as_str()?.parse().ok()
        };
        let assigned = self.lines("partitions assigned").iter().find_map(time)?;
        let loads = self.lines("partition taken over");
        let heads = loads.iter().filter_map(|line| line.get("heads")?.as_u64()).sum();
        let last = loads.iter().filter_map(time).max()?;
        Some((heads, last.duration_since(assigned).as_secs_f64()))
    }

    /// This worker's log lines with a message.
    fn lines(&self, message: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let own = text.get(self.log_from as usize..).unwrap_or_default();
        own.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|line| line.get("message").and_then(Value::as_str) == Some(message))
            .collect()
    }

    /// The last lines of the worker's log, for an error message.
    pub fn last_lines(&self, count: usize) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

/// Of a partition's line on the health page.
fn is_loading(line: &Value) -> bool {
    line.get("state").and_then(Value::as_str) == Some("loading")
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}
