//! A local Kafka broker on Java: its configuration, its storage and its command line.
//!
//! Owns what is special to Kafka. Starts nothing itself except the storage tool, which names a new
//! cluster once; a formatted home is never formatted again, since that would lose its topics.

use super::{
    Server, StackError, home::Home, home::contains, home::tail, java::Java, ports::Ports,
    template::fill,
};
use std::{
    ffi::OsString,
    fs::File,
    io::Read,
    path::Path,
    process::{Command, Stdio},
};

/// The first compiler alone: a local stack lives for minutes, in which the second one takes up to a
/// quarter of a core and seldom earns it.
const MACHINE: [&str; 5] = [
    "-Xms256m",
    "-Xmx768m",
    "-XX:+UseG1GC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
];

/// In the log once clients are served. The log is our own server's, unlike an answer on a port.
const STARTED: &str = "Kafka Server started";

/// In the log when somebody else took a port first.
const PORT_LOST: [&str; 2] = ["java.net.BindException", "Address already in use"];

/// Writes the configuration for these ports; names the cluster if this home is new.
pub fn prepare(home: &Home, ports: Ports, java: &Java, jars: &Path) -> Result<(), StackError> {
    home.write(&home.path().join("kafka/server.properties"), &configuration(home.text(), ports))?;
    if home.path().join("kafka/data/meta.properties").exists() {
        return Ok(());
    }
    let log = home.path().join("logs/kafka-format.log");
    home.write(&log, "")?;
    let output = File::options()
        .append(true)
        .open(&log)
        .and_then(|file| Ok((file.try_clone()?, file)))
        .map_err(StackError::io(format!("write {}", log.display())))?;
    let status = Command::new(&java.program)
        .args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"])
        .arg(jars.join("*"))
        .args(["kafka.tools.StorageTool", "format", "--cluster-id", &new_cluster_id()?, "--config"])
        .arg(home.path().join("kafka/server.properties"))
        .stdin(Stdio::null())
        .stdout(output.0)
        .stderr(output.1)
        .status()
        .map_err(StackError::io("run Kafka's storage tool"))?;
    if !status.success() {
        return Err(StackError::Died { server: Server::Kafka, tail: tail(&log), log });
    }
    Ok(())
}

pub fn command(home: &Home, java: &Java, jars: &Path) -> Vec<OsString> {
    let mut command = vec![java.program.clone().into_os_string()];
    command.extend(MACHINE.map(OsString::from));
    command.push("-Dorg.slf4j.simpleLogger.showDateTime=true".into());
    command.push("-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS".into());
    command.push("-cp".into());
    command.push(jars.join("*").into_os_string());
    command.push("kafka.Kafka".into());
    command.push(home.path().join("kafka/server.properties").into_os_string());
    command
}

fn configuration(home: &str, ports: Ports) -> String {
    fill(
        include_str!("../../deploy/stack/server.properties.in"),
        &[
            ("HOME", home),
            ("KAFKA_PORT", &ports.kafka.to_string()),
            ("CONTROLLER_PORT", &ports.controller.to_string()),
        ],
    )
}

/// A new cluster's name. Each home gets its own, so that a worker notices when its cluster was
/// replaced.
fn new_cluster_id() -> Result<String, StackError> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(StackError::io("read /dev/urandom"))?;
    Ok(cluster_id(bytes))
}

/// Kafka's text of a UUID: base64 of its 16 bytes, for URLs, without padding: 22 signs.
///
/// The top bit is cleared, because an id that begins with `-` would be taken for an option.
fn cluster_id(mut bytes: [u8; 16]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    bytes[0] &= 0x7f;
    let number = u128::from_be_bytes(bytes);
    (0..22)
        .map(|index| {
            // 22 signs of 6 bits are 4 bits more than there are; the last ones are zero.
            let bits = if index < 21 { number >> (122 - 6 * index) } else { number << 4 };
            char::from(SIGNS[(bits & 0x3f) as usize])
        })
        .collect()
}

/// True once this run of the broker wrote that it serves clients.
pub fn has_started(log: &Path) -> bool {
    contains(log, &[STARTED])
}

pub fn has_lost_port(log: &Path) -> bool {
    contains(log, &PORT_LOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: ids are base64 as Kafka reads it and never look like an option. Method: known pairs.
    #[test]
    fn cluster_ids_are_base64() {
        let text = *b"tapline-local-kf";
        for (bytes, then) in [
            (text, "dGFwbGluZS1sb2NhbC1rZg"),
            ([0; 16], "AAAAAAAAAAAAAAAAAAAAAA"),
            ([0xff; 16], "f____________________w"),
        ] {
            assert_eq!(cluster_id(bytes), then);
        }
    }

    /// Goal: every mark of the template is filled and the safety floor stands. Method: fill it.
    #[test]
    fn configuration_is_filled() {
        let ports = Ports { kafka: 1111, controller: 2222, ..Ports::NONE };
        let text = configuration("/home/of stack", ports);
        for line in [
            "listeners=PLAINTEXT://127.0.0.1:1111,CONTROLLER://127.0.0.1:2222",
            "log.dirs=/home/of stack/kafka/data",
            "auto.create.topics.enable=false",
            "unclean.leader.election.enable=false",
            "offsets.retention.minutes=5256000",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}");
        }
    }
}
