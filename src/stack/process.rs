//! Processes of this machine, known well enough never to signal a stranger.
//!
//! Owns the identity of a process: its id and its start time, because ids are given out again. A
//! signal goes out only while both still match. Signals are sent by the shell's built-in `kill`:
//! the standard library has no call for it, and minimal images have no `kill` program.

use super::wait::Deadline;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

/// One life of a process id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub pid: u32,
    /// Opaque, only compared: clock ticks since boot on Linux, else what `ps` prints as start
    /// time. Empty where neither is to be had; then the id alone must do.
    pub started: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Terminate,
    Kill,
    Stop,
    Continue,
}

impl Process {
    /// The process that has this id now; `None` if there is none, or only its zombie.
    pub fn with_pid(pid: u32) -> Option<Process> {
        let started = if fs::exists("/proc/self/stat").unwrap_or(false) {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            start_ticks(&stat)?.to_owned()
        } else {
            start_from_ps(pid)?
        };
        Some(Process { pid, started })
    }

    pub fn current() -> Option<Process> {
        Process::with_pid(std::process::id())
    }

    pub fn is_alive(&self) -> bool {
        Process::with_pid(self.pid).as_ref() == Some(self)
    }

    /// False when it has ended already or may not be signalled.
    pub fn signal(&self, signal: Signal) -> bool {
        let name = match signal {
            Signal::Terminate => "TERM",
            Signal::Kill => "KILL",
            Signal::Stop => "STOP",
            Signal::Continue => "CONT",
        };
        self.is_alive()
            && Command::new("sh")
                .args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &self.pid.to_string()])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
    }

    /// Asks it to end, forces it after `grace`, returns when it is gone. Also ends a paused one.
    pub fn end(&self, grace: Duration) {
        self.signal(Signal::Terminate);
        self.signal(Signal::Continue);
        if !self.is_gone_within(grace) {
            self.signal(Signal::Kill);
            self.is_gone_within(grace);
        }
    }

    pub fn is_gone_within(&self, limit: Duration) -> bool {
        let deadline = Deadline::after(limit);
        while self.is_alive() {
            if !deadline.pause() {
                return false;
            }
        }
        true
    }
}

/// Field 22 of `/proc/<pid>/stat`; `None` for a zombie.
///
/// Field 2 is the program's name in parentheses and may itself hold spaces and parentheses, so
/// counting begins after the last one.
fn start_ticks(stat: &str) -> Option<&str> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split_ascii_whitespace(); // from field 3, the state, on
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18)
}

fn start_from_ps(pid: u32) -> Option<String> {
    let out = Command::new("ps").args(["-o", "stat=,lstart=", "-p", &pid.to_string()]).output();
    let Ok(out) = out else {
        return Some(String::new());
    };
    let text = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    let (state, started) = text.split_once(char::is_whitespace)?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the start time is found whatever the program calls itself, and a zombie counts as
    /// gone. Method: one line of `/proc` per case.
    #[test]
    fn start_time_is_read_from_proc() {
        let tail = "1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 987654 100 200";
        for (name, stat, then) in [
            ("plain", format!("42 (java) S {tail}"), Some("987654")),
            ("blank in the name", format!("42 (my java) R {tail}"), Some("987654")),
            ("parentheses in the name", format!("42 (a) Z (b) S {tail}"), Some("987654")),
            ("zombie", format!("42 (java) Z {tail}"), None),
            ("cut off", "42 (java) S 1 1".to_owned(), None),
        ] {
            assert_eq!(start_ticks(&stat), then, "{name}");
        }
    }

    /// Goal: an id that was given out again is never signalled. Method: a live child, known under
    /// its right and under a wrong start time; the wrong one must not reach it.
    #[test]
    fn recycled_pid_is_left_alone() {
        let mut child = Command::new("sh")
            .args(["-c", "read -r line"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell");
        let real = Process::with_pid(child.id()).expect("it waits for its input");
        let stale = Process { started: format!("{}0", real.started), ..real.clone() };
        assert!(real.is_alive() && !stale.is_alive());
        assert!(!stale.signal(Signal::Kill), "a stranger was signalled");
        assert!(real.is_alive());
        assert!(real.signal(Signal::Kill));
        child.wait().expect("it was killed");
        assert!(!real.is_alive() && !real.signal(Signal::Kill));
    }
}
