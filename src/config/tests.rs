//! Configuration from end to end: sources in, checked values or problems out.
//!
//! Owns the cases that cross files of this module. Never reads the process's own environment.

use std::cell::RefCell;
use std::time::Duration;

use super::table::{Kind, SETTINGS, environment_form};
use super::*;
use crate::runtime::settings::Profile;
use crate::scratch::Scratch;

fn sources(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Sources {
    let own = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let path = (!file.is_empty()).then(|| written("tapline.toml", file));
    Sources { file: path, environment: own(environment), flags: own(flags) }
}

thread_local! {
    /// Go when the test's thread ends.
    static FOLDERS: RefCell<Vec<Scratch>> = RefCell::default();
}

/// A file of this test.
fn written(name: &str, text: &str) -> std::path::PathBuf {
    let folder = Scratch::new();
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("a file");
    FOLDERS.with_borrow_mut(|folders| folders.push(folder));
    path
}

fn value<'a>(config: &'a Config, key: &str) -> (&'a str, &'a str) {
    let line = config.effective().iter().find(|line| line.key == key).expect(key);
    (line.value.as_deref().unwrap_or("not set"), &line.origin)
}

/// Goal: defaults alone are a working configuration. Method: load nothing, look at what counts.
#[test]
fn defaults_work() {
    let config = Config::load(&Sources::default()).expect("defaults are right");
    assert_eq!(config.worker.profile, Profile::Dev);
    assert_eq!(config.worker.stages, ["authorisation"]);
    assert_eq!(config.kafka.partitions, 12);
    assert_eq!(config.kafka.group("feed"), "tapline.feed");
    assert_eq!(config.kafka.session_timeout, Duration::from_secs(15));
    assert_eq!(config.runtime.ticks, Some(Duration::from_millis(250)));
    assert_eq!(config.runtime.buckets_per_partition, 16);
    assert_eq!(config.http_listen.port(), 9464);
    assert_eq!(config.limits.value_bytes_max, 65_536);
    assert_eq!(config.push, PushMode::Mute);
}

/// Goal: the last layer wins and its origin is told. Method: set one key in more and more layers.
#[test]
fn later_layers_win() {
    let file = "[kafka]\npartitions = 3\n";
    let variable = ("TAPLINE_KAFKA__PARTITIONS", "5");
    for (layers, given, then) in [
        ("none", sources("", &[], &[]), ("12", "default")),
        ("file", sources(file, &[], &[]), ("3", "file")),
        ("environment", sources(file, &[variable], &[]), ("5", "environment TAPLINE_KAFKA")),
        ("flag", sources(file, &[variable], &[("kafka.partitions", "7")]), ("7", "flag")),
    ] {
        let config = Config::load(&given).expect(layers);
        let (text, origin) = value(&config, "kafka.partitions");
        assert_eq!(text, then.0, "{layers}");
        assert!(origin.starts_with(then.1), "{layers}: {origin}");
        assert_eq!(config.kafka.partitions.to_string(), then.0, "{layers}");
    }
}

/// Goal: a text that looks like something else stays the text it is. Method: passwords that the
/// usual parser of environment values would turn into numbers, booleans and lists.
#[test]
fn text_stays_text() {
    for (text, in_file) in [
        ("12345", Some("12345")),
        ("0123", None),
        ("1e5", None),
        ("true", Some("true")),
        ("[a,b]", None),
        (" x ", None),
        ("\"q\"", None),
    ] {
        let sasl = "[kafka]\nsecurity_protocol = \"sasl_ssl\"\nsasl_mechanism = \"PLAIN\"\n";
        let user = ("TAPLINE_KAFKA__USERNAME", "42");
        let given = sources(sasl, &[user, ("TAPLINE_KAFKA__PASSWORD", text)], &[]);
        let config = Config::load(&given).expect(text);
        let password = config.kafka.password.as_ref().map(|secret| secret.reveal());
        assert_eq!(password, Some(text));
        assert_eq!(config.kafka.username.as_deref(), Some("42"));
        if let Some(toml) = in_file {
            let given = sources(&format!("{sasl}password = {toml}\n"), &[user], &[]);
            let config = Config::load(&given).expect(text);
            let password = config.kafka.password.as_ref().map(|secret| secret.reveal());
            assert_eq!(password, Some(text), "in a file");
        }
    }
}

/// Goal: what an orchestrator injects is not configuration; a typing error is refused.
/// Method: variables, and whether they may stand.
#[test]
fn only_our_variables_count() {
    for (name, is_fine) in [
        ("TAPLINE_WORKER_SERVICE_HOST", true),
        ("TAPLINE_PORT", true),
        ("OTHER_KAFKA__PARTITIONS", true),
        ("TAPLINE_KAFKA__PARTITION", false),
        ("TAPLINE_KAFKA__PARTITIONS__X", false),
        ("TAPLINE_KAFKAA__PARTITIONS", false),
    ] {
        let loaded = Config::load(&sources("", &[(name, "4")], &[]));
        assert_eq!(loaded.is_ok(), is_fine, "{name}: {loaded:?}");
    }
}

/// Goal: each refusal names key, value, origin, fault and cure, under the stable code.
/// Method: one wrong thing a line, in one of the layers, and the line that must come out.
#[test]
fn refusals_name_key_value_origin_and_cure() {
    let variable = |name, value| sources("", &[(name, value)], &[]);
    let flag = |key, value| sources("", &[], &[(key, value)]);
    let file = |text| sources(text, &[], &[]);
    let cases = [
        (
            variable("TAPLINE_KAFKA__PARTITIONS", "many"),
            "config_invalid: kafka.partitions = \"many\" \
             (from environment TAPLINE_KAFKA__PARTITIONS): is not a number in range; \
             write digits only, from 1 to 10000",
        ),
        (
            flag("kafka.partitons", "4"),
            "kafka.partitons (from flag): unknown key; did you mean kafka.partitions?",
        ),
        (file("nonsense = 1"), "nonsense (from file"),
        (file("\"a.b\" = 1"), "a.b (from file"),
        (file("kafka = 1"), "kafka (from file"),
        (file("[kafka]\npassword = \"hunter2"), "is not TOML at line 2"),
        (flag("kafka.password", "hunter2"), "use TAPLINE_KAFKA__PASSWORD_FILE"),
        (flag("worker.stages", "feed,pish"), "has no stage \"pish\""),
        (flag("worker.stages", ""), "worker.stages (from flag): is an empty list"),
        (flag("runtime.ticks", "250"), "runtime.ticks = \"250\" (from flag): is not a duration"),
        (flag("runtime.seal_interval", "1h"), "repeat more than ten seconds"),
        (flag("kafka.session_timeout", "1s"), "write 6s to 60s"),
        (flag("kafka.topic_prefix", "my_"), "use lower case, digits, dots and hyphens"),
        (flag("cassandra.keyspace", "Tap-line"), "is not a keyspace name"),
        (flag("cassandra.tls", "yes"), "write true or false"),
        (flag("http.listen", "9464"), "is not an address"),
        (flag("log.level", "tapline=loud"), "log.level = \"tapline=loud\""),
        (flag("worker.profile", ""), "worker.profile (from flag): is not one of the choices"),
        (flag("log.format", "xml"), "write auto or json or text"),
        (flag("dead_letters.fuse_max", "1000"), "could never blow"),
        (flag("telemetry.gauge_idle", "6s"), "two refreshes"),
        (flag("kafka.username", "me"), "would not be used without SASL"),
        (flag("kafka.security_protocol", "sasl_ssl"), "kafka.password (from not set): is needed"),
        (flag("kafka.tls_key_path", "/k"), "kafka.tls_certificate_path"),
        (flag("cassandra.username", "me"), "half of a pair"),
        (
            flag("kafka.properties.acks", "1"),
            "kafka.properties.acks (from flag): carries correctness",
        ),
        (flag("kafka.properties.linger.ms", "9"), "set kafka.linger instead"),
        (flag("kafka.properties.ssl.keystore.password", "hunter2"), "would put a secret"),
        (
            variable("TAPLINE_KAFKA__PROPERTIES__AUTO_OFFSET_RESET", "earliest"),
            "kafka.properties.auto.offset.reset \
             (from environment TAPLINE_KAFKA__PROPERTIES__AUTO_OFFSET_RESET)",
        ),
        (file("[kafka.properties]\npartitioner = \"random\""), "kafka.properties.partitioner"),
        (
            file("[kafka.properties]\nenable.idempotence = false"),
            "kafka.properties.enable.idempotence",
        ),
        (
            flag("worker.profile", "production"),
            "kafka.security_protocol = \"plaintext\" (from default)",
        ),
        (flag("worker.profile", "production"), "cassandra.tls = \"false\" (from default)"),
        (flag("push.fcm_url", "fcm.googleapis.com"), "is not an address of the web"),
        (flag("push.fcm_project", "shop"), "push.fcm_credentials_path (from not set): is missing"),
        (flag("push.fcm_token_url", "https://x.example"), "would not be used without"),
        (
            flag("push.apns_topic", "com.example.shop"),
            "push.apns_key_id (from not set): is missing",
        ),
        (flag("push.web_push_key_path", "/k"), "push.web_push_subject (from not set): is missing"),
        (flag("push.web_push_hosts", "https://push.example"), "which is no host"),
        (flag("push.web_push_hosts", "*.push.example"), "which is no host"),
        (flag("push.webhook_hosts", "hooks.example"), "push.webhook_secrets (from not set)"),
        (
            variable("TAPLINE_PUSH__WEBHOOK_SECRETS", "whsec_hunter2"),
            "push.webhook_hosts (from not set): is missing",
        ),
    ];
    for (given, line) in cases {
        let error = Config::load(&given).expect_err(line).to_string();
        assert!(error.contains(line), "wanted {line:?}, got {error:?}");
        assert!(error.lines().all(|line| line.starts_with("config_invalid: ")), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let missing = Sources { file: Some("/nowhere/tapline.toml".into()), ..Sources::default() };
    assert!(Config::load(&missing).is_err(), "a named file must be there");
}

/// Goal: every property that carries correctness is refused by name. Method: try each.
#[test]
fn protected_properties_are_refused() {
    use crate::adapters::kafka::settings::{OWNED_PROPERTIES, PROTECTED_PROPERTIES};
    let owned = OWNED_PROPERTIES.iter().map(|(name, _)| name);
    for name in PROTECTED_PROPERTIES.iter().chain(owned) {
        let key = format!("kafka.properties.{name}");
        let error = Config::load(&sources("", &[], &[(&key, "x")])).expect_err(name);
        assert_eq!(error.problems.len(), 1, "{error}");
        assert_eq!(error.problems[0].key, key);
    }
    let fine = sources("", &[], &[("kafka.properties.socket.nagle.disable", "true")]);
    let config = Config::load(&fine).expect("others pass");
    assert_eq!(config.kafka.properties["socket.nagle.disable"], "true");
}

/// Goal: production refuses what only a laptop may do, and has its own defaults.
/// Method: add what is missing, step by step.
#[test]
fn production_is_strict() {
    let production = ("worker.profile", "production");
    let tls = [production, ("kafka.security_protocol", "ssl"), ("cassandra.tls", "true")];
    let config = Config::load(&sources("", &[], &tls)).expect("encrypted");
    assert_eq!((config.kafka.replication_factor, config.cassandra.replication_factor), (3, 3));
    assert_eq!(config.kafka.min_insync_replicas(), 2);
    let plain = [production, ("security.allow_plaintext", "true")];
    Config::load(&sources("", &[], &plain)).expect("plaintext where it is allowed");
    for (key, text) in [
        ("kafka.replication_factor", "1"),
        ("cassandra.replication_factor", "2"),
        ("kafka.properties.enable.ssl.certificate.verification", "false"),
        ("kafka.properties.ssl.endpoint.identification.algorithm", "none"),
    ] {
        let flags = [&tls[..], &[(key, text)]].concat();
        let error = Config::load(&sources("", &[], &flags)).expect_err(key);
        assert_eq!(error.problems.len(), 1, "{error}");
        assert_eq!(error.problems[0].key, key);
    }
}

/// Goal: secrets come from files too, and from one place only. Method: files with odd ends.
#[test]
fn secrets_come_from_files() {
    for (held, then) in [
        ("hunter2\n", "hunter2"),
        ("hunter2\r\n", "hunter2"),
        ("hunter2\n\n", "hunter2\n"),
        (" hunter2", " hunter2"),
    ] {
        let path = written("secret", held).display().to_string();
        let base = [
            ("TAPLINE_CASSANDRA__USERNAME", "me"),
            ("TAPLINE_CASSANDRA__PASSWORD_FILE", path.as_str()),
        ];
        let config = Config::load(&sources("", &base, &[])).expect("a readable file");
        let password = config.cassandra.password.as_ref().map(|secret| secret.reveal());
        assert_eq!(password, Some(then), "{held:?}");
        assert!(value(&config, "cassandra.password").1.starts_with("secret file"));

        let both = [&base[..], &[("TAPLINE_CASSANDRA__PASSWORD", "other")]].concat();
        let error = Config::load(&sources("", &both, &[])).expect_err("both").to_string();
        assert!(error.contains("cassandra.password_file is set too"), "{error}");
        assert!(!error.contains("other") && !error.contains("hunter2"), "{error}");

        let blank = [&base[..], &[("TAPLINE_CASSANDRA__PASSWORD", "")]].concat();
        Config::load(&sources("", &blank, &[])).expect("a blank variable is not a value");
        let blank = [("TAPLINE_KAFKA__PASSWORD_FILE", ""), ("TAPLINE_WORKER__PROFILE", "")];
        Config::load(&sources("", &blank, &[])).expect("the default stands");
    }
    let nowhere = [
        ("TAPLINE_CASSANDRA__USERNAME", "me"),
        ("TAPLINE_CASSANDRA__PASSWORD_FILE", "/nowhere/secret"),
    ];
    let error = Config::load(&sources("", &nowhere, &[])).expect_err("no file").to_string();
    assert!(error.contains("cassandra.password_file = \"/nowhere/secret\""), "{error}");
}

/// Goal: nothing that prints a configuration shows a secret. Method: every way to print one.
#[test]
fn secrets_are_redacted() {
    let given = [
        ("TAPLINE_CASSANDRA__USERNAME", "me"),
        ("TAPLINE_CASSANDRA__PASSWORD", "hunter2"),
        ("TAPLINE_KAFKA__TLS_KEY_PASSWORD", "hunter2"),
    ];
    let config = Config::load(&sources("", &given, &[])).expect("right");
    for printed in [config.print(), format!("{config:?}"), format!("{:?}", config.effective())] {
        assert!(!printed.contains("hunter2"), "{printed}");
        assert!(printed.contains("***"), "{printed}");
    }
    let page = config.print();
    assert!(page.contains("cassandra.password = \"***\""), "{page}");
    assert!(page.contains("# environment TAPLINE_CASSANDRA__PASSWORD"), "{page}");
    assert!(page.contains("# kafka.instance_id"), "{page}");
}

/// Goal: a gateway is configured when it is whole, production sends nothing in clear, and a weak
/// secret is refused unseen. Method: flags and variables, then what is configured or wrong.
#[test]
fn gateways_are_whole_or_absent() {
    let none = Config::load(&Sources::default()).expect("defaults").gateways;
    assert_eq!(none, crate::adapters::gateways::settings::GatewaySettings::default());
    let secret = |bytes: &str| format!("whsec_{}", bytes.repeat(8));
    let secrets = format!("{}, {}", secret("AAAA"), secret("BBBB"));
    let variable = ("TAPLINE_PUSH__WEBHOOK_SECRETS", secrets.as_str());
    let whole = [
        ("push.fcm_project", "shop"),
        ("push.fcm_credentials_path", "/k.json"),
        ("push.apns_topic", "com.example.shop"),
        ("push.apns_key_path", "/k.p8"),
        ("push.apns_key_id", "K"),
        ("push.apns_team_id", "T"),
        ("push.web_push_key_path", "/v.pem"),
        ("push.web_push_subject", "mailto:push@example.com"),
        ("push.webhook_hosts", "hooks.example.com,127.0.0.1:9"),
    ];
    let config = Config::load(&sources("", &[variable], &whole)).expect("whole");
    let gateways = &config.gateways;
    assert_eq!(gateways.fcm.as_ref().map(|it| it.url.as_str()), Some("https://fcm.googleapis.com"));
    assert!(gateways.apns.is_some() && gateways.web_push.is_some());
    let webhook = gateways.webhook.as_ref().expect("whole");
    assert_eq!((webhook.secrets.len(), webhook.hosts.len()), (2, 2));
    assert!(!format!("{config:?}{}", config.print()).contains("AAAA"));

    let production = [("worker.profile", "production"), ("security.allow_plaintext", "true")];
    for (key, text, is_fine) in [
        ("push.fcm_url", "http://gateway.example", false),
        ("push.apns_url", "http://gateway.example", false),
        ("push.fcm_url", "http://127.0.0.1:8099", true),
        ("push.apns_url", "https://gateway.example", true),
    ] {
        let flags = [&production[..], &[(key, text)]].concat();
        assert_eq!(Config::load(&sources("", &[], &flags)).is_ok(), is_fine, "{key} {text}");
        let dev = Config::load(&sources("", &[], &[(key, text)]));
        assert!(dev.is_ok(), "{key} {text} in dev");
    }

    let weak = [("TAPLINE_PUSH__WEBHOOK_SECRETS", "whsec_aHVudGVyMg==")];
    let hosts = [("push.webhook_hosts", "hooks.example.com")];
    let error = Config::load(&sources("", &weak, &hosts)).expect_err("weak").to_string();
    assert!(error.contains("24") && !error.contains("aHVudGVyMg"), "{error}");
}

/// Goal: names of stages stand for what they say. Method: what is written, then what runs.
#[test]
fn stages_expand() {
    for (written, then) in [
        ("feed", vec!["feed"]),
        ("settlement", vec!["posting", "windows"]),
        ("push, authorisation,push", vec!["authorisation", "push"]),
        ("all", vec!["authorisation", "posting", "windows", "feed", "push"]),
    ] {
        let config = Config::load(&sources("", &[], &[("worker.stages", written)])).expect(written);
        assert_eq!(config.worker.stages, then);
    }
    let list = sources("[worker]\nstages = [\"feed\", \"push\"]\n", &[], &[]);
    assert_eq!(Config::load(&list).expect("a list").worker.stages, ["feed", "push"]);
    let static_member = [("kafka.instance_id", "pod-0"), ("runtime.ticks", "off")];
    let config = Config::load(&sources("", &[], &static_member)).expect("static");
    assert_eq!(config.kafka.session_timeout, Duration::from_secs(45));
    assert_eq!(config.runtime.ticks, None);
}

/// Goal: the table is whole: each key can be set by its documented variable, is read by the check,
/// and is in the reference. Method: walk the table; a bad value of a checked kind must be refused.
#[test]
fn the_table_is_whole() {
    let page = reference();
    assert_eq!(page.lines().count(), SETTINGS.len() + 2);
    for setting in SETTINGS {
        let variable = environment_form(setting.key);
        assert!(page.contains(&format!("`{}", setting.key)), "{}", setting.key);
        assert!(page.contains(&variable), "{variable}");
        let bad = !matches!(
            setting.kind,
            Kind::Text | Kind::Credential | Kind::Secret | Kind::List | Kind::Map
        );
        let loaded = Config::load(&sources("", &[(&variable, "§")], &[]));
        if bad {
            let error = loaded.expect_err(setting.key);
            assert!(error.problems.iter().any(|it| it.key == setting.key), "{error}");
        }
    }
}
