//! A shell between us and a server, so that no server outlives us by accident.
//!
//! The shell starts the server and reads a pipe that we hold open. However we end, SIGKILL
//! included, the system closes the pipe, and the shell ends the server: TERM, 20 s, KILL. A server
//! that is meant to outlive us (`stack up`) is let go with one word on the pipe once it answers,
//! so that a start that dies half-way leaves nothing behind either. A parent-death signal would
//! not do: it follows the thread that started the child, not the process.

use super::process::Process;
use std::{
    ffi::OsString,
    io::{self, BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

/// Arguments: the log file, then the server's command line. Prints the server's process id, ends
/// with the server and with its exit code. The watching subshell outlives a killed main shell.
///
/// The timer slack is inherited (Linux; elsewhere the line does nothing): Cassandra's idle threads
/// sleep for 10 microseconds at a time before they park, some 4,000 times a second, which took a
/// sixth of a core. Now they sleep for up to 2 ms, and so long may a request wait for one
/// (docs/benchmarks.md).
const SERVER: &str = r#"
trap '' HUP
log=$1; shift
(echo 2000000 >/proc/$$/timerslack_ns) 2>/dev/null
exec 3<&0 </dev/null
"$@" >>"$log" 2>&1 3<&- &
server=$!
(
    exec >/dev/null 2>&1
    read -r word <&3
    [ "$word" = keep ] && exit 0
    kill -s TERM $server
    kill -s CONT $server
    tenths=0
    while [ $tenths -lt 200 ] && kill -0 $server; do
        sleep 0.1
        tenths=$((tenths + 1))
    done
    kill -s KILL $server
) &
watcher=$!
exec 3<&-
echo $server
exec >/dev/null
wait $server
code=$?
kill $watcher 2>/dev/null
exit $code
"#;

/// Arguments: a command that is run when we end, unless we said `keep`. It is run twice, because a
/// half-done start of ours may outlive us for a moment.
const CLEAN_UP: &str = r#"
trap '' HUP
read -r word
[ "$word" = keep ] && exit 0
exec </dev/null >/dev/null 2>&1
"$@"
sleep 10
"$@"
"#;

/// The shell. Dropping it ends what it guards and waits for that, unless it was told to keep it.
pub struct Guard {
    shell: Child,
    pipe: Option<ChildStdin>,
    kept: bool,
}

impl Guard {
    /// Starts `command` with its output appended to `log`; also tells which process it became.
    pub fn start(log: &Path, command: &[OsString]) -> io::Result<(Guard, Process)> {
        let mut guard = Guard::spawn(SERVER, [log.as_os_str().to_owned()].iter().chain(command))?;
        let mut line = String::new();
        if let Some(out) = guard.shell.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let pid = line.trim().parse().map_err(|_| io::Error::other("the guard did not start"))?;
        // A server that has ended by now is found out by the guard's exit; its id is never used.
        let process =
            Process::with_pid(pid).unwrap_or(Process { pid, started: "ended".to_owned() });
        Ok((guard, process))
    }

    /// Runs `command` when we end and `keep` was not called. Dropping this waits for it.
    pub fn clean_up_with(command: &[OsString]) -> io::Result<Guard> {
        Guard::spawn(CLEAN_UP, command.iter())
    }

    fn spawn<'a>(script: &str, arguments: impl Iterator<Item = &'a OsString>) -> io::Result<Guard> {
        let mut shell = Command::new("sh")
            .args(["-c", script, "tapline-guard"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // A group of its own: Ctrl-C in a terminal must reach us alone, or the servers would
            // end before the work that needs them.
            .process_group(0)
            .spawn()?;
        let pipe = shell.stdin.take();
        Ok(Guard { shell, pipe, kept: false })
    }

    /// Lets the guarded thing outlive us.
    pub fn keep(&mut self) {
        if let Some(mut pipe) = self.pipe.take() {
            // A shell that is gone has nothing left to guard.
            let _ = pipe.write_all(b"keep\n");
        }
        self.kept = true;
    }

    /// True once the server has ended, however it did.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.shell.try_wait(), Ok(None))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.kept {
            drop(self.pipe.take());
            let _ = self.shell.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn sleeper() -> Vec<OsString> {
        ["sh", "-c", "echo started; exec sleep 600"].map(OsString::from).to_vec()
    }

    /// Goal: the server ends with its guard, also while it is stopped, and outlives it only when
    /// kept. Method: a sleeping process in the server's place.
    #[test]
    fn server_ends_with_its_guard_unless_kept() {
        let null = Path::new("/dev/null");
        let (guard, process) = Guard::start(null, &sleeper()).expect("a shell");
        assert!(process.signal(super::super::process::Signal::Stop));
        drop(guard);
        assert!(!process.is_alive(), "outlived its guard");

        let (mut guard, process) = Guard::start(null, &sleeper()).expect("a shell");
        guard.keep();
        drop(guard);
        assert!(process.is_alive(), "ended although it was to be kept");
        process.end(Duration::from_secs(20));
        assert!(!process.is_alive());
    }

    /// Goal: the end of a server is noticed. Method: a command that cannot even be started.
    #[test]
    fn end_of_the_server_is_seen() {
        let nothing = [OsString::from("/nonexistent/java")];
        let (mut guard, _) = Guard::start(Path::new("/dev/null"), &nothing).expect("a shell");
        let _ = guard.shell.wait();
        assert!(guard.has_ended());
    }
}
