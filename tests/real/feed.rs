//! The feed on real servers: who is shown what, and what the API says of it.
//!
//! Owns three months of cards on joint accounts, judged by the feed's oracle and the auditor, and
//! the questions that a customer's program asks. The worker knows a gateway and is mute: nothing
//! may reach it.

use super::{
    asked::{Api, Live, Said},
    ground::{Ground, Site, until},
    load::{audit, crowd},
    money::{self, Hand},
    told::{self, Phones, Told},
    watch,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, slice, time::Duration};
use tapline::api::shapes::Item;
use tapline::codec::{raw::RawRecord, topics::EVENTS};
use tapline::domain::{
    account::HolderRole,
    command::{AccountCommand, Authorise, ChangeHolder, Command, HoldClass, Purchase},
    event::{AccountEvent, Balances},
    feed::{FeedBody, FeedRecord},
    ids::{AccountId, CustomerId},
    push::{Device, Outcome},
};
use tapline::producer::{
    cards::{Cards, Settings},
    crowd::{Choice, Crowd},
    life::Mix,
    samples::Samples,
};

const ACCOUNTS: u32 = 12;
const MONTHS: i64 = 3;
const STEPS: i64 = 5;
/// As many devices as a customer may have.
const DEVICES_MAX: u32 = 20;

/// Goal: everybody who holds an account, and nobody else, is shown each event once, in order, with
/// its balance; the API says what the rows say; nothing is sent. Method: one mute worker of three
/// stages, cards on accounts with one or two holders over three months; then the oracle, the
/// auditor, and every question of the API.
pub fn shown_to_the_audience(ground: &Ground) {
    let site = ground.site("feed");
    let phones = Phones::start(&site);
    let settings = [("runtime.ticks", "off"), ("api.listen", "127.0.0.1:0")];
    let settings = [told::SETTINGS, settings].concat();
    let mut worker = phones.lead(site.start(1, &settings), "mute").spawn().expect("a worker");
    told::await_stages(&site, slice::from_mut(&mut worker), 60);
    let api = Api::of(&worker);
    let crowd = crowd(ACCOUNTS);
    let mut hand = Hand::open(&site);
    let written = play(&mut hand, &crowd, ground.size.pick(600, 2_000, 20_000));
    told::await_all(&site, slice::from_mut(&mut worker), 60);

    let told = Told::read(&site);
    told.judge_feed(&site, &crowd.run);
    let incarnation = pages_are_rows(&api, &told.rows);
    accounts_are_events(&api, &site, &crowd);
    devices(&api, &crowd.customer(0), &phones);
    let live = api.listen(crowd.customer(0).as_str());
    pay_now(&api, &site, &crowd, (&mut hand, &live, incarnation));
    refusals(&api, &crowd, incarnation);

    told::await_all(&site, slice::from_mut(&mut worker), 30);
    let told = Told::read(&site);
    told.judge_ends();
    assert_eq!(told.count(Outcome::Muted), told.outcomes.len(), "all outcomes are muted");
    assert!(told.outcomes.values().all(|it| it.sends.is_empty() && !it.body.is_empty()));
    assert_eq!(phones.counts().connections, 0, "a mute worker asked the gateway");
    let status = worker.stop(Duration::from_secs(20));
    assert!(status.is_some_and(|status| status.success()), "{}", worker.last_lines(8));
    live.find("end", 5, |problem| problem["code"] == "live_unavailable");
    println!(
        "  {written} commands, {} items, {} lines, {} muted pushes",
        told.items.len(),
        told.rows.len(),
        told.outcomes.len()
    );
    audit(&site, None, written, &["--expect-feed", "--expect-push"]);
}

/// Minutes of the business day that everything is counted from.
fn minute(month: i64, step: i64) -> i64 {
    (month - MONTHS) * 30 * 1_440 + step * 60
}

/// Openings, second holders of every other account, and cards; after a month one of the second
/// holders leaves. How many commands it was.
fn play(hand: &mut Hand, crowd: &Crowd, taps: usize) -> u64 {
    let settings = Settings {
        crowd: crowd.clone(),
        choice: Choice::Zipf(0.99),
        mix: Mix::default(),
        seed: 7,
        day_ms: 3_600_000,
        spacing_us: 0,
    };
    let mut cards = Cards::new(settings, Samples::few());
    let mut opened: Vec<AccountCommand> = cards.openings().collect();
    opened.extend((0..ACCOUNTS).step_by(2).map(|index| holder(crowd, index, false)));
    hand.tick(minute(0, 0));
    hand.write(&opened);
    let mut written = opened.len();
    for month in 0..MONTHS {
        for step in 1..=STEPS {
            let now = money::minute(minute(month, step));
            hand.tick(minute(month, step));
            let count = taps / (MONTHS * STEPS) as usize;
            let batch: Vec<AccountCommand> = (0..count).map(|_| cards.next_at(now)).collect();
            hand.write(&batch);
            written += batch.len();
        }
        if month == 0 {
            hand.write(&[holder(crowd, 0, true)]);
            written += 1;
        }
    }
    hand.tick(minute(MONTHS, 0));
    written as u64
}

/// The next account's owner comes to this one, or leaves it.
fn holder(crowd: &Crowd, index: u32, removed: bool) -> AccountCommand {
    let body = ChangeHolder {
        customer_id: crowd.customer(index + 1),
        role: HolderRole::Disponent,
        removed,
    };
    let message = format!("second-{removed}");
    money::command(crowd.account(index).as_str(), &message, Command::ChangeHolder(body))
}

/// Pages to the end are the rows of each customer, newest first, whatever a page holds. Gives the
/// log's incarnation.
fn pages_are_rows(api: &Api, rows: &[(String, FeedRecord)]) -> i32 {
    let mut wanted: BTreeMap<&str, Vec<&FeedRecord>> = BTreeMap::new();
    for (customer, record) in rows {
        if matches!(record.body, FeedBody::Item(_)) {
            wanted.entry(customer).or_default().push(record);
        }
    }
    let mut incarnation = 0;
    for (customer, records) in &mut wanted {
        let created = |record: &FeedRecord| match &record.body {
            FeedBody::Item(item) => (item.created_at, item.item_id.clone()),
            FeedBody::Holding(_) | FeedBody::Birth(_) => unreachable!("only items were kept"),
        };
        records.sort_by_key(|record| {
            let (at, item) = created(record);
            (std::cmp::Reverse(at), format!("{}/{item}", record.account_id))
        });
        let lines = api.lines(customer, 7);
        let position = lines[0]["position"].as_str().expect("a position");
        incarnation = position.split(':').next().and_then(|it| it.parse().ok()).expect("a number");
        let shown = |record: &&FeedRecord| {
            serde_json::to_value(Item::of(record, incarnation)).expect("an item is JSON")
        };
        let wanted: Vec<Value> = records.iter().map(shown).collect();
        assert_eq!(lines.len(), wanted.len(), "lines of {customer}");
        for (line, wanted) in lines.iter().zip(&wanted) {
            assert_eq!(line, wanted, "a line of {customer}");
        }
        assert_eq!(api.lines(customer, 200), wanted, "the same in large pages");
    }
    assert_eq!(wanted.len(), ACCOUNTS as usize + 1, "customers with a feed");
    incarnation
}

/// Every holder sees the balance of the account's last event; who left sees none.
fn accounts_are_events(api: &Api, site: &Site, crowd: &Crowd) {
    let events = watch::events(site, &[]);
    let last: BTreeMap<AccountId, Balances> =
        events.into_iter().filter_map(|(_, it)| Some((it.account_id, it.balances?))).collect();
    for index in 0..ACCOUNTS {
        let accounts = accounts(&api.get(&of(&crowd.customer(index), "accounts")));
        let own = crowd.account(index);
        assert_eq!(booked(&accounts[own.as_str()]), Some(last[&own].booked_minor), "{own}");
        assert_eq!(accounts[own.as_str()]["audience"], "owner");
        let shared = if index % 2 == 1 { Some(crowd.account(index - 1)) } else { None };
        assert_eq!(accounts.len(), 1 + usize::from(shared.is_some()), "{accounts:?}");
        let Some(shared) = shared else { continue };
        let line = &accounts[shared.as_str()];
        assert_eq!(line["is_removed"], json!(index == 1), "{line}");
        let balance = if index == 1 { None } else { Some(last[&shared].booked_minor) };
        assert_eq!(booked(line), balance, "{line}");
    }
}

fn of(customer: &CustomerId, what: &str) -> String {
    format!("/v1/customers/{customer}/{what}")
}

fn accounts(said: &Said) -> BTreeMap<String, Value> {
    assert_eq!(said.status, 200, "{said:?}");
    let accounts = said.body["accounts"].as_array().cloned().unwrap_or_default();
    let named = |it: Value| Some((it["account_id"].as_str()?.to_owned(), it));
    accounts.into_iter().filter_map(named).collect()
}

fn booked(account: &Value) -> Option<i64> {
    account["balance"]["booked"]["minor"].as_i64()
}

/// A payment made now comes by the stream, is in an answer that asks for its position, and the
/// balance is that of its event.
fn pay_now(
    api: &Api,
    site: &Site,
    crowd: &Crowd,
    (hand, live, incarnation): (&mut Hand, &Live, i32),
) {
    let (account, customer) = (crowd.account(0), crowd.customer(0));
    let amount_minor = 1_234;
    let purchase = Purchase {
        card_token: crowd.card(0),
        original_currency: crowd.currency,
        ..money::purchase(account.as_str(), "cards", amount_minor)
    };
    let ask = Authorise {
        payment_id: "now".into(),
        amount_minor,
        currency: crowd.currency,
        purchase,
        hold_class: HoldClass::Standard,
        allow_partial: false,
        single_message: false,
    };
    let before = watch::spans(site, &site.config.kafka.topic(EVENTS.0));
    hand.write(&[money::command(account.as_str(), "now", Command::Authorise(ask))]);
    let (raw, event): (RawRecord, AccountEvent) = until("the decision", 20, || {
        watch::events(site, &before).pop().ok_or_else(|| "no event".to_owned())
    });
    let token = format!("{incarnation}:{}:{}", raw.partition, raw.offset);
    let line = format!("{account}/payment/now");
    let path = format!("{}?limit=200&wait_ms=10000&at_least={token}", of(&customer, "feed"));
    let page = api.get(&path);
    assert_eq!(page.status, 200, "{page:?}");
    let items = page.body["items"].as_array().cloned().unwrap_or_default();
    let item = items.iter().find(|item| item["line"] == json!(line)).expect("the payment's line");
    assert_eq!((&item["status"], &item["amount"]["minor"]), (&json!("pending"), &json!(1_234)));
    assert_eq!(item["position"], json!(token));
    let contained = page
        .position
        .split(',')
        .find_map(|it| it.strip_prefix(&format!("{incarnation}:{}:", raw.partition)));
    assert!(contained.is_some_and(|it| it.parse::<i64>().is_ok_and(|at| at >= raw.offset)));

    let path = format!("{}?at_least={token}", of(&customer, "accounts"));
    let shown = &accounts(&api.get(&path))[account.as_str()];
    let balances = event.balances.expect("a decision has balances");
    assert_eq!(booked(shown), Some(balances.booked_minor), "{shown}");
    assert_eq!(shown["balance"]["held"]["minor"], json!(balances.held_minor), "{shown}");
    let heard = live.find("item", 10, |it| it["line"] == json!(line));
    assert_eq!(&heard, item, "the stream's item is the page's");
}

/// What cannot be answered is a problem with a stable code.
fn refusals(api: &Api, crowd: &Crowd, incarnation: i32) {
    let feed = of(&crowd.customer(0), "feed");
    for (path, status, code) in [
        (format!("{feed}?at_least={}:0:0", incarnation + 1), 409, "position_of_another_log"),
        (
            format!("{feed}?at_least={incarnation}:0:999999999&wait_ms=50"),
            503,
            "position_not_reached",
        ),
        (format!("{feed}?at_least=1:2"), 400, "bad_parameter"),
        (format!("{feed}?limit=0"), 400, "bad_parameter"),
        ("/v1/customers/nobody/feed".to_owned(), 404, "customer_unknown"),
        ("/v1/customers/nobody/accounts".to_owned(), 404, "customer_unknown"),
    ] {
        let said = api.get(&path);
        assert_eq!((said.status, said.code()), (status, code), "{path}: {said:?}");
        assert_eq!(said.retry_after.is_empty(), status != 503, "{path}: {said:?}");
    }
}

/// Devices come, go, and are at most so many; preferences stay as they were put.
fn devices(api: &Api, customer: &CustomerId, phones: &Phones) {
    let put = |name: &str, device: &Device| {
        let mut body = json!({ "platform": device.platform.name(), "token": device.token });
        if !device.auth.is_empty() {
            body["p256dh"] = json!(device.p256dh);
            body["auth"] = json!(device.auth);
        }
        api.put(&of(customer, &format!("devices/{name}")), &body)
    };
    for number in 0..DEVICES_MAX {
        let said = put(&format!("phone-{number}"), &phones.device(number));
        assert_eq!(said.status, 201, "{said:?}");
    }
    assert_eq!(put("phone-3", &phones.device(3)).status, 200, "the same once more");
    let full = put("one-more", &phones.device(DEVICES_MAX));
    assert_eq!((full.status, full.code()), (409, "devices_full"));
    assert!(full.body["detail"].as_str().is_some_and(|it| it.contains("push.devices_max")));
    let gone = api.delete(&of(customer, "devices/phone-7"));
    assert_eq!(gone.status, 204, "{gone:?}");
    assert_eq!(api.get(&of(customer, "devices/phone-7")).code(), "device_unknown");
    assert_eq!(put("one-more", &phones.device(DEVICES_MAX)).status, 201);
    let listed = api.get(&of(customer, "devices"));
    let count = listed.body["devices"].as_array().map_or(0, Vec::len);
    assert_eq!(count, DEVICES_MAX as usize, "{listed:?}");
    let wanted = json!({
        "off": ["money_in"], "smallest_minor": { "CAD": 500 },
        "quiet": { "from_minute": 1320, "to_minute": 420, "zone": "Europe/Prague" }
    });
    assert_eq!(api.put(&of(customer, "preferences"), &wanted).status, 200);
    assert_eq!(api.get(&of(customer, "preferences")).body, wanted);
}
