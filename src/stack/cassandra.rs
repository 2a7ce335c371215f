//! A local Cassandra node on Java: its configuration and its command line.
//!
//! Owns what is special to Cassandra. The commit log is synchronised before a write is
//! acknowledged, as the checkpoint protocol demands; a test holds the templates to it.

use super::{StackError, home::Home, home::contains, java::Java, ports::Ports, template::fill};
use std::{ffi::OsString, fs, path::Path};

/// In the log once clients are served.
const STARTED: &str = "Starting listening for CQL clients on";

/// In the log when somebody else took a port first: storage, CQL, JMX.
const PORT_LOST: [&str; 4] =
    ["is in use by another process", "Failed to bind port", "Port already in use", "BindException"];

/// Writes the configuration for these ports.
pub fn prepare(home: &Home, ports: Ports) -> Result<(), StackError> {
    let folder = home.path().join("cassandra/conf");
    home.write(&folder.join("cassandra.yaml"), &configuration(home.text(), ports))?;
    home.write(&folder.join("logback.xml"), include_str!("../../deploy/stack/logback.xml"))
}

pub fn command(
    home: &Home,
    ports: Ports,
    java: &Java,
    jars: &Path,
) -> Result<Vec<OsString>, StackError> {
    let mut command = vec![java.program.clone().into_os_string()];
    if java.version > 17 {
        command.push("-Djava.security.manager=allow".into());
    }
    command.extend(options(home.text(), ports, &jamm(jars)?).into_iter().map(OsString::from));
    command.push("-cp".into());
    command.push(jars.join("*").into_os_string());
    command.push("org.apache.cassandra.service.CassandraDaemon".into());
    Ok(command)
}

/// True once this run of the node wrote that it serves clients.
pub fn has_started(log: &Path) -> bool {
    contains(log, &[STARTED])
}

pub fn has_lost_port(log: &Path) -> bool {
    contains(log, &PORT_LOST)
}

fn configuration(home: &str, ports: Ports) -> String {
    fill(
        include_str!("../../deploy/stack/cassandra.yaml.in"),
        &[
            ("HOME", home),
            ("CQL_PORT", &ports.cql.to_string()),
            ("STORAGE_PORT", &ports.storage.to_string()),
        ],
    )
}

/// One argument a line; comments and empty lines left out.
fn options(home: &str, ports: Ports, jamm: &str) -> Vec<String> {
    let values = [("HOME", home), ("JAMM", jamm), ("JMX_PORT", &ports.jmx.to_string())];
    include_str!("../../deploy/stack/cassandra.jvm.in")
        .lines()
        .filter(|line| line.starts_with('-'))
        .map(|line| fill(line, &values))
        .collect()
}

/// The agent that measures object sizes for Cassandra; it comes with the jars in their version.
fn jamm(jars: &Path) -> Result<String, StackError> {
    let doing = || format!("look for jamm in {}", jars.display());
    let names = fs::read_dir(jars).map_err(StackError::io(doing()))?;
    names
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .find(|name| name.starts_with("jamm-") && name.ends_with(".jar"))
        .and_then(|name| Some(jars.join(name).to_str()?.to_owned()))
        .ok_or_else(|| StackError::io(doing())(std::io::ErrorKind::NotFound.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: every mark of both templates is filled. Method: fill them and look for the lines that
    /// carry a port or a path, also one with a blank.
    #[test]
    fn templates_are_filled() {
        let ports = Ports { cql: 1111, storage: 2222, jmx: 3333, ..Ports::NONE };
        let yaml = configuration("/my home", ports);
        for line in [
            "native_transport_port: 1111",
            "storage_port: 2222",
            "      - seeds: \"127.0.0.1:2222\"",
            "commitlog_directory: \"/my home/cassandra/commitlog\"",
        ] {
            assert!(yaml.lines().any(|found| found == line), "{line}");
        }
        let options = options("/my home", ports, "/jars/jamm-1.jar");
        for option in [
            "-javaagent:/jars/jamm-1.jar",
            "-Dcassandra.storagedir=/my home/cassandra",
            "-Dcassandra.jmx.local.port=3333",
        ] {
            assert!(options.iter().any(|found| found == option), "{option}");
        }
        assert!(!options.iter().any(|option| option.contains('#')), "a comment became an option");
    }

    /// Goal: no way to run Cassandra acknowledges a write before its fsync. Method: both files.
    #[test]
    fn commit_log_is_synchronous() {
        for (name, yaml) in [
            ("java", include_str!("../../deploy/stack/cassandra.yaml.in")),
            ("docker", include_str!("../../deploy/stack/cassandra.docker.yaml")),
        ] {
            for line in ["commitlog_sync: group", "commitlog_sync_group_window: 5ms"] {
                assert!(yaml.lines().any(|found| found == line), "{name}: {line}");
            }
        }
    }
}
