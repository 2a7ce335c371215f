//! The page in a real browser: headless Chromium over the API's ports in memory.
//!
//! Owns what only a browser can show: hostile text stays text, live items come in, nothing is loaded
//! from elsewhere, no script fails. `TAPTEST_BROWSER=0` leaves it out and says so;
//! `TAPTEST_BROWSER=<path>` names the browser. `TAPTEST_PAGE_SHOTS=<folder>` keeps the pictures.

#[path = "page/records.rs"]
mod records;

use records::{balance, holding, purchase, record, with};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};
use tapline::api::{
    access::Access,
    listen_at,
    live::Hub,
    memory::{ByHand, Memory},
    ports::TargetStore,
    routes::{Settings, Shared, Turns},
};
use tapline::domain::{feed::FeedRecord, ids::CustomerId, push::Preferences};

const BROWSERS: &[&str] =
    &["chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome"];

/// What the page shows after this many milliseconds is looked at.
const LOOK_AFTER_MS: u64 = 5_000;

/// The browser to use; `None`: left out on purpose.
fn browser() -> Option<PathBuf> {
    let switch = std::env::var("TAPTEST_BROWSER").unwrap_or_default();
    match switch.as_str() {
        "0" => {
            println!("left out: the page in a browser (TAPTEST_BROWSER=0)");
            return None;
        }
        "" | "1" => {}
        path => return Some(PathBuf::from(path)),
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&folders)
        .flat_map(|folder| BROWSERS.iter().map(move |name| folder.join(name)));
    let found = places.find(|path| path.is_file());
    Some(found.unwrap_or_else(|| {
        panic!(
            "no Chromium on the PATH (`apt-get install -y chromium` brings one): name it with \
             TAPTEST_BROWSER=<path>, or leave this test out with TAPTEST_BROWSER=0"
        )
    }))
}

fn parsed(record: Value) -> FeedRecord {
    serde_json::from_value(record).expect("a feed record")
}

/// Runs while the browser does, and is no longer there after the test.
struct Browser(Child);

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(browser: &Path, profile: &Path, size: &str, more: &[&str]) -> Command {
    let mut command = Command::new(browser);
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update"])
        .args(["--disable-sync", "--hide-scrollbars", "--enable-logging=stderr", "--v=0"])
        .arg(format!("--window-size={size}"))
        .arg(format!("--virtual-time-budget={LOOK_AFTER_MS}"))
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(more);
    command
}

/// Shape: (document after `LOOK_AFTER_MS`, what the browser logged).
fn dump(browser: &Path, profile: &Path, address: &str) -> (String, String) {
    let mut command = command(browser, profile, "1280,1400", &["--dump-dom", address]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = child.output().expect("the browser starts");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(output.stdout), text(output.stderr))
}

struct Served {
    memory: Arc<Memory>,
    hub: Arc<Hub>,
    address: SocketAddr,
}

async fn serve() -> Served {
    let memory = Arc::new(Memory::default());
    let hub = Hub::new(16, Box::new(ByHand));
    let shared = Shared {
        feed: memory.clone(),
        targets: memory.clone(),
        positions: memory.clone(),
        hub: hub.clone(),
        settings: Settings {
            access: Access::Loopback,
            devices_max: 20,
            allows_loopback_http: true,
        },
        turns: Turns::default(),
    };
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let never = std::future::pending();
    let listening = listen_at(listen, Arc::new(shared), never).await.expect("a free port");
    Served { memory, hub, address: listening.address }
}

const CUSTOMER: &str = "anna & <b>josef</b>";
const HOSTILE: &str = "<img src=x onerror=\"document.title='owned'\">\u{202e}moc.live";

/// A feed with one line of each look.
async fn fill(served: &Served) {
    let put = |record: Value| served.memory.put(parsed(record));
    put(holding(CUSTOMER, "acc-000001", (7, 0)));
    put(holding(CUSTOMER, "acc-000002", (3, 0)));
    let line = |id: &str, offset: i64, fields: Value| {
        put(with(purchase(CUSTOMER, "acc-000001", id, (7, offset)), fields));
    };
    let day = |day: i64, minute: i64| records::BEGIN_MS + day * 86_400_000 + minute * 60_000;
    line(
        "rent",
        1,
        json!({
            "kind": "debit", "status": "booked", "change": "booked", "merchant_name": "",
            "merchant_category": null, "category_text": "", "card_last_four": "", "text": "Rent, November",
            "amount_minor": 1_450_000, "original_minor": 1_450_000, "original_currency": "CZK",
            "pending_minor": 0, "release_at": null, "created_at": day(-1, -300),
        }),
    );
    line(
        "salary",
        2,
        json!({
            "kind": "credit", "status": "booked", "change": "booked", "merchant_name": "",
            "merchant_category": null, "category_text": "", "card_last_four": "", "text": "Salary",
            "amount_minor": 4_250_000, "original_minor": 4_250_000, "original_currency": "CZK",
            "pending_minor": 0, "release_at": null, "created_at": day(-1, 5),
        }),
    );
    line("hostile", 3, json!({"merchant_name": HOSTILE, "created_at": day(0, -120)}));
    line(
        "declined",
        4,
        json!({
            "status": "declined", "change": "declined", "reason": "insufficient_funds",
            "merchant_name": "Alza", "category_text": "Electronics", "created_at": day(0, -60),
            "amount_minor": 2_999_000, "original_minor": 2_999_000, "original_currency": "CZK",
            "pending_minor": 0, "release_at": null,
        }),
    );
    let step = |minute: i64, change: &str, amount_minor: i64| json!({"log_time": day(0, minute), "change": change, "amount_minor": amount_minor});
    line(
        "hotel",
        5,
        json!({
            "status": "cleared", "change": "presented", "version": 3, "merchant_name": "Hotel Evropa",
            "category_text": "Hotels", "created_at": day(0, -30), "pending_minor": 0,
            "amount_minor": 812_000, "former_amount_minor": 900_000, "possible_duplicate": true,
            "timeline": [step(-30, "authorised", 600_000), step(-20, "incremented", 300_000),
                step(-1, "presented", 812_000)],
        }),
    );
    line(
        "yen",
        6,
        json!({
            "currency": "JPY", "amount_minor": 1_200, "pending_minor": 0, "status": "refunded",
            "change": "refunded", "merchant_name": "Don Quijote", "country": "JP",
            "original_minor": 1_200, "original_currency": "JPY", "refunded_minor": 1_200,
            "created_at": day(0, -10),
        }),
    );
    let customer = CustomerId::from(CUSTOMER);
    let device = json!({"device_id": "Anna's phone", "platform": "fcm", "token": "token-abcd"});
    let device = serde_json::from_value(device).expect("a device");
    served.memory.put_device(&customer, &device).await.expect("stored");
    let wish = json!({
        "off": ["money_out"], "smallest_minor": {"CZK": 10_000},
        "quiet": {"from_minute": 1320, "to_minute": 420, "zone": "Europe/Prague"},
    });
    let wish: Preferences = serde_json::from_value(wish).expect("preferences");
    served.memory.put_preferences(&customer, &wish).await.expect("stored");
}

/// A purchase that comes while the page is open, and the version that clears another.
fn happen(served: &Served) {
    let live = purchase(CUSTOMER, "acc-000002", "live", (3, 40));
    let fields = json!({
        "merchant_name": "Trafika u nádraží", "amount_minor": 4_500, "pending_minor": 4_500,
        "original_minor": 4_500, "original_currency": "CZK", "balance": balance(777_700, 4_500),
    });
    served.memory.publish(&served.hub, parsed(with(live, fields)));
    let other = record("somebody else", "x", (3, 41), json!({"Birth": {}}));
    served.memory.publish(&served.hub, parsed(other));
}

fn shots() -> Option<PathBuf> {
    std::env::var_os("TAPTEST_PAGE_SHOTS").map(PathBuf::from)
}

/// Goal: the page shows a feed as people read it, live, and no text of strangers becomes markup.
/// Method: a feed with one line of each look, opened at one payment; a purchase comes while the
/// browser looks; then the document's text.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_in_a_browser() {
    let Some(browser) = browser() else { return };
    let served = Arc::new(serve().await);
    fill(&served).await;
    let address = format!(
        "http://{}/?customer=anna%20%26%20%3Cb%3Ejosef%3C%2Fb%3E#acc-000001%2Fpayment%2Fhotel",
        served.address
    );
    let profile = tempfile::tempdir().expect("a folder");
    let looking = {
        let (browser, profile, address) =
            (browser.clone(), profile.path().to_owned(), address.clone());
        tokio::task::spawn_blocking(move || dump(&browser, &profile, &address))
    };
    // Not before the page listens: what comes then is live and nothing else.
    let listens = async {
        while served.hub.listener_count() == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), listens).await.expect("the page listens");
    tokio::time::sleep(Duration::from_millis(300)).await;
    happen(&served);
    let (document, log) = looking.await.expect("no panic");

    for part in [
        "anna &amp; &lt;b&gt;josef&lt;/b&gt;",
        "&lt;img src=x onerror=\"document.title='owned'\"&gt;\u{202e}moc.live",
        "Hotel Evropa",
        "\u{2212}8,120.00\u{a0}CZK", // what went out has a minus sign
        "+42,500.00\u{a0}CZK",
        ">29,990.00\u{a0}CZK", // declined: moved nothing, so no sign
        "1,200\u{a0}JPY",
        "Possibly paid twice",
        "Promised more",
        "9,000.00\u{a0}CZK",
        "insufficient funds",
        "Friday 20 November 2026",
        "Thursday 19 November 2026",
        "Trafika u nádraží",
        "7,732.00\u{a0}CZK", // the balance after the live one
        "Anna's phone",
        "…abcd",
        "Not about money out.",
        "Nothing below 100.00\u{a0}CZK",
        "Quiet from 22:00 to 07:00, Europe/Prague.",
        "Contains log position 1:3:",
        ">Live<",
    ] {
        let part = part.replace('\u{a0}', "&nbsp;");
        assert!(document.contains(&part), "no {part:?} in\n{document}\n{log}");
    }
    assert!(!document.contains("<img"), "markup of a stranger\n{document}");
    assert!(!document.contains("<title>owned"), "a stranger's script ran");
    let opened = document.split("<details open").nth(1).expect("the line of the address is open");
    assert!(opened.split("</details>").next().is_some_and(|it| it.contains("Hotel Evropa")));
    let faults: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(faults.is_empty(), "the browser complains: {faults:#?}");
    if let Some(folder) = shots() {
        for (name, size) in [("desk", "1280,1500"), ("phone", "420,1800")] {
            let picture = folder.join(format!("{name}.png"));
            let shot = format!("--screenshot={}", picture.display());
            let profile = tempfile::tempdir().expect("a folder");
            let mut command = command(&browser, profile.path(), size, &[&shot, &address]);
            let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut shooting = Browser(child.spawn().expect("the browser starts"));
            let ended = tokio::task::spawn_blocking(move || shooting.0.wait()).await;
            ended.expect("no panic").expect("it ends");
            assert!(picture.is_file(), "{}", picture.display());
        }
    }
}

/// Goal: what is empty or wrong is said in words. Method: nobody named, somebody unknown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_says_what_is_not_there() {
    let Some(browser) = browser() else { return };
    let served = serve().await;
    for (query, text) in [
        ("", "What a customer sees"),
        ("?customer=nobody", "No such customer. The feed has never heard of nobody."),
    ] {
        let profile = tempfile::tempdir().expect("a folder");
        let address = format!("http://{}/{query}", served.address);
        let (browser, folder) = (browser.clone(), profile.path().to_owned());
        let looked = tokio::task::spawn_blocking(move || dump(&browser, &folder, &address)).await;
        let (document, log) = looked.expect("no panic");
        assert!(document.contains(text), "no {text:?} in\n{document}\n{log}");
    }
}
