//! Log lines: one event a line on stderr, JSON for machines, text for a terminal.
//!
//! Owns the format, the filter and the rate limit of repeated errors. Never logs a payload: the
//! text of an event is constant and facts are fields, named as `FIELDS` says. Invariant: in JSON,
//! fields of an event and of the spans around it all stand at the top level; the innermost wins.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{IsTerminal, stderr};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// The fields that a search over logs may rely on. The first four are on every line.
pub const FIELDS: &[&str] = &[
    "timestamp",
    "level",
    "target",
    "message",
    "stage",
    "topic",
    "partition",
    "offset",
    "key",
    "payment_id",
    "error_code",
];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    #[default]
    Auto,
    Json,
    Text,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    pub format: LogFormat,
    /// A level, or directives such as `info,tapline::runtime=debug`.
    pub level: String,
}

/// Whether `init` would take this filter. Errors: what is wrong with it, in words.
pub fn check_level(level: &str) -> Result<(), String> {
    filter(level).map(drop)
}

/// Blanks around directives and commas without one mean nothing.
fn filter(level: &str) -> Result<Targets, String> {
    let directives: Vec<&str> =
        level.split(',').map(str::trim).filter(|directive| !directive.is_empty()).collect();
    directives.join(",").parse::<Targets>().map_err(|error| error.to_string())
}

/// Starts logging for the process. Errors: a bad filter, or a second call.
pub fn init(config: &LogConfig) -> Result<(), String> {
    let filter = filter(&config.level)?;
    let is_text = match config.format {
        LogFormat::Auto => stderr().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(stderr);
    let lines = if is_text {
        lines.with_ansi(stderr().is_terminal() && !no_color()).boxed()
    } else {
        lines.fmt_fields(JsonFields::new()).event_format(FlatJson).boxed()
    };
    let started = tracing_subscriber::registry().with(lines).with(filter).try_init();
    started.map_err(|error| error.to_string())
}

fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// One JSON object a line. The stock format nests the fields of spans, so that a search for
/// `stage` would miss them.
struct FlatJson;

impl<S> FormatEvent<S, JsonFields> for FlatJson
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line(Map::new());
        let spans = context.event_scope().into_iter().flat_map(|scope| scope.from_root());
        for span in spans {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>();
            let fields = fields.and_then(|it| serde_json::from_str::<Map<_, _>>(&it.fields).ok());
            line.0.extend(fields.unwrap_or_default());
        }
        event.record(&mut line);
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let metadata = event.metadata();
        line.put("timestamp", timestamp);
        line.put("level", metadata.level().as_str().to_lowercase());
        line.put("target", metadata.target());
        writeln!(writer, "{}", Value::Object(line.0))
    }
}

/// A line being gathered.
struct Line(Map<String, Value>);

impl Line {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value);
    }
}

/// Lets an error that repeats through at most once in a while, with the number of times it came.
///
/// ```ignore
/// if let Some(times) = self.repeated.note(error.code(), clock.ms()) {
///     error!(error_code = error.code(), times, "store write failed");
/// }
/// ```
#[derive(Debug)]
pub struct RepeatedError {
    every_ms: u64,
    /// Per error code: when it was last let through, and how often it came since.
    seen: BTreeMap<&'static str, (u64, u64)>,
}

impl RepeatedError {
    pub fn new(every_ms: u64) -> Self {
        RepeatedError { every_ms, seen: BTreeMap::new() }
    }

    /// Notes one occurrence at `now_ms` (of a clock that does not go back). `Some(times)` says:
    /// log it now, it came `times` times since it was last logged, this one counted.
    pub fn note(&mut self, code: &'static str, now_ms: u64) -> Option<u64> {
        let Some((logged_ms, held_back)) = self.seen.get_mut(code) else {
            self.seen.insert(code, (now_ms, 0));
            return Some(1);
        };
        *held_back += 1;
        if now_ms.saturating_sub(*logged_ms) < self.every_ms {
            return None;
        }
        let times = *held_back;
        (*logged_ms, *held_back) = (now_ms, 0);
        Some(times)
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Goal: a search finds every field at the top level, numbers as numbers, one line an event.
    /// Method: log within two spans that share a field, parse the line.
    #[test]
    fn json_lines_are_flat() {
        let page = Page::default();
        let writer = page.clone();
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .fmt_fields(JsonFields::new())
            .event_format(FlatJson);
        let filter = filter(" warn, tapline=info,").expect("a filter");
        let subscriber = tracing_subscriber::registry().with(lines).with(filter);
        tracing::subscriber::with_default(subscriber, || {
            let outer = tracing::info_span!("worker", stage = "feed", offset = 1);
            let _outer = outer.enter();
            let inner = tracing::info_span!("process", partition = 3, offset = 41);
            let _inner = inner.enter();
            tracing::warn!(offset = 42, error_code = "too_large", key = "a\nb", "dead letter");
            tracing::debug!("below the level");
        });
        let bytes = page.0.lock().expect("no panic").clone();
        let text = String::from_utf8(bytes).expect("text");
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        let line: Map<String, Value> = serde_json::from_str(&text).expect("an object");
        for (name, value) in [
            ("level", Value::from("warn")),
            ("message", Value::from("dead letter")),
            ("stage", Value::from("feed")),
            ("partition", Value::from(3)),
            ("offset", Value::from(42)),
            ("key", Value::from("a\nb")),
            ("error_code", Value::from("too_large")),
        ] {
            assert_eq!(line.get(name), Some(&value), "{name} in {text}");
        }
        assert!(line["timestamp"].as_str().is_some_and(|it| it.ends_with('Z')), "{text}");
        assert!(line["target"].as_str().is_some_and(|it| it.ends_with("logging::tests")));
        assert!(line.keys().all(|name| FIELDS.contains(&name.as_str())), "{text}");
    }

    /// Goal: a storm of one error is one line a while, and none is uncounted.
    /// Method: occurrences in order: code, time, what is let through.
    #[test]
    fn repeated_errors_are_counted() {
        let mut repeated = RepeatedError::new(1_000);
        for (code, now_ms, then) in [
            ("a", 0, Some(1)),
            ("a", 1, None),
            ("b", 2, Some(1)),
            ("a", 999, None),
            ("a", 1_000, Some(3)),
            ("a", 1_001, None),
            ("a", 9_000, Some(2)),
        ] {
            assert_eq!(repeated.note(code, now_ms), then, "{code} at {now_ms}");
        }
    }
}
