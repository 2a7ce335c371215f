//! The command line of `tapline-fake-gateway`.
//!
//! Owns flags and what is printed: the address, and the settings that lead a worker here. Never
//! touches a real gateway. Invariant: the address is printed once the twin listens, not before.

use super::{FakeGateway, Keys, Options, Rule, Target, behaviour::parse_flag};
use crate::{
    config::parse_duration,
    console::print::{line, say},
};
use clap::Parser;
use std::{net::SocketAddr, path::PathBuf, time::Duration};

const EXAMPLES: &str = "Examples:
  tapline-fake-gateway --keys /tmp/keys               prints settings that lead a worker here
  tapline-fake-gateway --behave fcm=slow:10s --behave apns=status:429:5
  curl -d '{\"target\":\"fcm\",\"act\":\"hang\",\"for_ms\":60000,\"share_percent\":30}' \\
       -H 'content-type: application/json' http://127.0.0.1:8099/control
  curl http://127.0.0.1:8099/counts
  curl 'http://127.0.0.1:8099/device?platform=web_push&name=phone'   a device to register

Acts: ok, slow:10s, status:429, status:429:5 (with Retry-After), hang, cut, huge.
Targets: fcm, apns, web_push, webhook, token, all.
A device whose name begins with gone- is answered as one that left.
Pages: / (for people), /journal?since=N, /counts.";

/// Plays FCM, APNs, web push services and webhook receivers; takes every push and keeps a journal.
/// For tests and the demo: it trusts worthless keys.
#[derive(Debug, Parser)]
#[command(name = "tapline-fake-gateway", version, after_help = EXAMPLES)]
pub struct Cli {
    /// Where to listen; port 0 is any free one
    #[arg(long, default_value = "127.0.0.1:8099", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// A folder for worthless keys, made if missing; signatures are then verified
    #[arg(long, value_name = "FOLDER")]
    keys: Option<PathBuf>,
    /// Verify webhooks under this secret (whsec_...); may be repeated
    #[arg(long, value_name = "SECRET")]
    webhook_secret: Vec<String>,
    /// Misbehave from the start, as in `fcm=slow:10s`; may be repeated
    #[arg(long, value_name = "TARGET=ACT", value_parser = parse_flag)]
    behave: Vec<(Target, Rule)>,
    /// Write each request as a JSON line
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// How long an access token is said to live
    #[arg(long, default_value = "1h", value_name = "DURATION", value_parser = duration)]
    token_life: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write it as 30s, 5m or 1h".to_owned())
}

/// Runs until it is ended from outside. Shape: the exit code of a failed start.
pub fn run(cli: Cli) -> i32 {
    let tokio = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(tokio) => tokio,
        Err(error) => return failed(&error),
    };
    tokio.block_on(async {
        match start(cli).await {
            Ok(gateway) => {
                gateway.wait().await;
                1
            }
            Err(error) => failed(&error),
        }
    })
}

fn failed(error: &std::io::Error) -> i32 {
    say(&format!("fake gateway: {error}"));
    1
}

async fn start(cli: Cli) -> std::io::Result<FakeGateway> {
    let keys = cli.keys.as_deref().map(Keys::write).transpose()?;
    let options = Options {
        listen: cli.listen,
        keys: keys.clone(),
        webhook_secrets: cli.webhook_secret,
        journal: cli.journal,
        behaviours: cli.behave,
        token_seconds: cli.token_life.as_secs(),
    };
    let gateway = FakeGateway::start(options).await?;
    line(&format!("# listening on http://{}", gateway.address));
    for (key, value) in keys.iter().flat_map(|keys| keys.config(gateway.address)) {
        let variable = format!("TAPLINE_{}", key.replacen('.', "__", 1)).to_uppercase();
        line(&format!("export {variable}='{value}'"));
    }
    Ok(gateway)
}
