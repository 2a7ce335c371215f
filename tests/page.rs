//! The page in a real browser: headless Chromium over the API's ports in memory.
//!
//! Owns what only a browser can show: hostile text stays text, live items come in, nothing is loaded
//! from elsewhere, no script fails. `TAPTEST_BROWSER=0` leaves it out and says so;
//! `TAPTEST_BROWSER=<path>` names the browser. `TAPTEST_PAGE_SHOTS=<folder>` keeps the pictures.

#[path = "page/devtools.rs"]
mod devtools;
#[path = "page/records.rs"]
mod records;
mod scratch;

use devtools::Browser;
use records::{balance, holding, purchase, record, with};
use scratch::Scratch;
use serde_json::{Value, json};
use std::{net::SocketAddr, path::PathBuf, sync::Arc};
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
    let booked = |kind: &str, text: &str, amount_minor: i64, created_at: i64| {
        json!({
            "kind": kind, "status": "booked", "change": "booked", "merchant_name": "",
            "merchant_category": null, "category_text": "", "card_last_four": "", "text": text,
            "amount_minor": amount_minor, "original_minor": amount_minor,
            "original_currency": "CZK", "pending_minor": 0, "release_at": null,
            "created_at": created_at,
        })
    };
    line("rent", 1, booked("debit", "Rent, November", 1_450_000, day(-1, -300)));
    line("salary", 2, booked("credit", "Salary", 4_250_000, day(-1, 5)));
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

/// Runs a look at the page on a thread that may wait.
async fn look(
    browser: PathBuf,
    served: Arc<Served>,
    look: impl FnOnce(&mut Browser, &Served) + Send + 'static,
) {
    let looked = tokio::task::spawn_blocking(move || {
        let profile = Scratch::new();
        look(&mut Browser::start(&browser, profile.path()), &served);
    });
    if let Err(error) = looked.await {
        std::panic::resume_unwind(error.into_panic());
    }
}

const QUERY: &str = "?customer=anna%20%26%20%3Cb%3Ejosef%3C%2Fb%3E";

/// Goal: the page shows a feed as people read it, live, and no text of strangers becomes markup.
/// Method: a feed with one line of each look, opened at one payment; a purchase comes while the page
/// listens; then the document's text, a line opened by key, and what the browser complained about.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_in_a_browser() {
    let Some(browser) = browser() else { return };
    let served = Arc::new(serve().await);
    fill(&served).await;
    look(browser, served, |browser, served| {
        let address = format!("http://{}/{QUERY}#acc-000001%2Fpayment%2Fhotel", served.address);
        browser.open(&address, (1280, 1500), false);
        browser.wait_for(">Live<");
        // Quiet hours come last of what is asked at the start.
        let before = browser.wait_for("Quiet from 22:00 to 07:00, Europe/Prague.");
        assert!(!before.contains("Trafika"), "too early\n{before}");
        happen(served);
        let document = browser.wait_for("Trafika u nádraží");
        check(&document);
        let opened = "document.querySelectorAll('details[open]').length";
        assert_eq!(browser.value(opened), 1, "the line of the address");
        browser.value("document.querySelector('summary').focus()");
        browser.press("Enter");
        assert_eq!(browser.value(opened), 2, "by a key");
        assert_eq!(browser.value("document.images.length"), 0);
        // Nothing but our own three files and questions was loaded.
        let others = "performance.getEntriesByType('resource').filter(it => \
                      !it.name.startsWith(location.origin)).length";
        assert_eq!(browser.value(others), 0);
        assert!(browser.faults.is_empty(), "the browser complains: {:#?}", browser.faults);
        pictures(browser, &address);
    })
    .await;
}

fn check(document: &str) {
    for part in [
        "anna &amp; &lt;b&gt;josef&lt;/b&gt;",
        "&lt;img src=x onerror=\"document.title='owned'\"&gt;\u{fffd}moc.live",
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
        "7,732.00\u{a0}CZK", // the balance after the live one
        "Anna's phone",
        "…abcd",
        "Not about money out.",
        "Nothing below 100.00\u{a0}CZK",
        "Contains log position 1:3:",
    ] {
        let part = part.replace('\u{a0}', "&nbsp;");
        assert!(document.contains(&part), "no {part:?} in\n{document}");
    }
    assert!(!document.contains("<img"), "markup of a stranger\n{document}");
    assert!(!document.contains("<title>owned"), "a stranger's script ran");
}

/// For people, where `TAPTEST_PAGE_SHOTS` names a folder.
fn pictures(browser: &mut Browser, address: &str) {
    let Some(folder) = std::env::var_os("TAPTEST_PAGE_SHOTS").map(PathBuf::from) else { return };
    for (name, size, is_dark) in
        [("desk", (1280, 1500), false), ("dark", (1280, 1500), true), ("phone", (390, 1900), false)]
    {
        browser.open(address, size, is_dark);
        browser.wait_for("Quiet from");
        browser.wait_for(">Live<");
        browser.picture(&folder.join(format!("{name}.png")));
    }
}

/// Goal: what is empty or wrong is said in words. Method: nobody named, somebody unknown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_says_what_is_not_there() {
    let Some(browser) = browser() else { return };
    let served = Arc::new(serve().await);
    look(browser, served, |browser, served| {
        for (query, text) in [
            ("", "What a customer sees"),
            ("?customer=nobody", "No such customer. The feed has never heard of nobody."),
        ] {
            browser.open(&format!("http://{}/{query}", served.address), (1280, 800), false);
            browser.wait_for(text);
        }
    })
    .await;
}
