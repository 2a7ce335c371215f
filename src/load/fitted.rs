//! Settings of a benchmark that has servers, worker and load on one machine.
//!
//! Owns what the machine's size makes of partitions, buckets and batches where the user says
//! nothing: a record that is spread thin costs a request for each place that it is spread to, and
//! on few cores requests are what the time goes into (docs/benchmarks.md). Never overrides a word
//! of the user's, wherever it was said. A deployment's own defaults stay as they are: it grows.

use super::cli::What;
use crate::config::Config;

/// As many as cores that shall decide at the same time; the servers need the others.
fn partitions(cores: usize) -> String {
    (cores / 2).max(1).to_string()
}

/// What suits the benchmark, as keys and values; short waits where a reply is measured, longer ones
/// where five stages follow each other and nobody waits.
fn suited(what: What, cores: usize) -> Vec<(&'static str, String)> {
    let few = |linger: &str, buckets: &str, seals: &str| {
        vec![
            ("kafka.partitions", partitions(cores)),
            ("kafka.linger", linger.to_owned()),
            ("runtime.buckets_per_partition", buckets.to_owned()),
            ("runtime.seal_interval", seals.to_owned()),
        ]
    };
    match what {
        What::Figures => few("1500us", "1", "50ms"),
        What::Feed => {
            let mut settings = few("10ms", "4", "250ms");
            settings.extend([
                ("feed.buckets", "8".to_owned()),
                ("kafka.properties.fetch.wait.max.ms", "20".to_owned()),
                ("kafka.properties.fetch.min.bytes", "65536".to_owned()),
            ]);
            settings
        }
        What::Clearing => Vec::new(),
    }
}

/// Those of them that the user did not choose.
pub fn fitted(config: &Config, what: What) -> Vec<(String, String)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut settings = suited(what, cores);
    settings.retain(|(key, _)| {
        !config.effective().iter().any(|line| line.key == *key && line.origin != "default")
    });
    settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    /// Goal: what the user said stands, the rest fits the machine, and every key is one. Method:
    /// flags, then what is added to them, then the configuration of both.
    #[test]
    fn the_users_words_stand() {
        let load = |flags: &[(String, String)]| {
            let sources = Sources { flags: flags.to_vec(), ..Sources::default() };
            Config::load(&sources).expect("a configuration")
        };
        for (what, said, added) in [
            (What::Figures, &["kafka.linger"][..], 3),
            (What::Figures, &[][..], 4),
            (What::Feed, &["kafka.properties.fetch.wait.max.ms", "runtime.seal_interval"][..], 5),
            (What::Feed, &[][..], 7),
            (What::Clearing, &[][..], 0),
        ] {
            let value = |key: &str| if key.ends_with(".ms") { "7" } else { "7ms" };
            let mut flags: Vec<(String, String)> =
                said.iter().map(|key| (key.to_string(), value(key).to_owned())).collect();
            let more = fitted(&load(&flags), what);
            assert_eq!(more.len(), added, "{said:?} {more:?}");
            assert!(more.iter().all(|(key, _)| !said.contains(&key.as_str())), "{more:?}");
            flags.extend(more);
            let both = load(&flags);
            for (key, value) in &flags {
                let line = both.effective().iter().find(|line| line.key == *key).expect(key);
                assert_eq!(line.value.as_deref(), Some(value.as_str()), "{key}");
            }
        }
    }

    /// Goal: half of the cores decide, and one always does. Method: cores, then partitions.
    #[test]
    fn half_of_the_cores_decide() {
        for (cores, then) in [(1, "1"), (2, "1"), (3, "1"), (4, "2"), (64, "32")] {
            assert_eq!(partitions(cores), then, "{cores}");
        }
    }
}
