//! Progress: a bar on a terminal, a plain line per interval elsewhere.

use super::print::say;
use crate::runtime::telemetry;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;

/// Milliseconds between two plain lines.
const LINE_EVERY_MS: u64 = 2_000;

pub struct Progress {
    bar: Option<ProgressBar>,
    what: String,
    total: u64,
    started_ms: u64,
    line_at_ms: u64,
}

impl Progress {
    /// `total`: 0 where it is not known.
    pub fn start(what: &str, total: u64, no_bars: bool) -> Self {
        let is_terminal = std::io::stderr().is_terminal() && !no_bars;
        let bar = is_terminal.then(|| {
            let bar =
                ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(10));
            let style =
                "{prefix:<10} {wide_bar:.cyan/blue} {human_pos}/{human_len} {per_sec:>12} {msg}";
            bar.set_style(
                ProgressStyle::with_template(style)
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            bar.set_prefix(what.to_owned());
            bar
        });
        let started_ms = telemetry::steady_ms();
        let line_at_ms = started_ms + LINE_EVERY_MS;
        Self { bar, what: what.to_owned(), total, started_ms, line_at_ms }
    }

    pub fn at(&mut self, done: u64, note: &str) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(note.to_owned());
            return;
        }
        let now_ms = telemetry::steady_ms();
        if now_ms >= self.line_at_ms {
            self.line_at_ms = now_ms + LINE_EVERY_MS;
            let seconds = (now_ms - self.started_ms) as f64 / 1_000.0;
            let of = if self.total > 0 { format!(" of {}", self.total) } else { String::new() };
            say(&format!("{}: {done}{of} after {seconds:.0} s {note}", self.what));
        }
    }

    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
