//! The windows stage's rows for commands: what is open and what was settled, network by network.
//!
//! Owns where the row of a network and currency lies and how head and side rows are joined: what
//! stands in the head is newer than any row beside it. Reads only.

use super::stage_rows::{Place, SCANS_IN_FLIGHT, StageRows, failed};
use crate::codec::{
    schemas::Subject,
    snapshot::{Row, SideRow},
};
use crate::config::Config;
use crate::domain::{
    money::Currency, settlement::instruction_reference, settlement::window_key, window::Exception,
};
use crate::stages::settlement::windows::{Item, Window, Windows, WindowsStage};
use futures_util::{StreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};

/// All that is stored of one network and currency.
#[derive(Clone, Debug, PartialEq)]
pub struct Book {
    pub network: Box<str>,
    pub currency: Currency,
    pub head: Windows,
    /// Of the head and beside it, ascending by cut-off.
    pub windows: Vec<Window>,
    /// Of the head and beside it, by id.
    pub exceptions: Vec<Exception>,
}

impl Book {
    /// `sides`: newest version of each item first.
    fn of(
        network: &str,
        currency: Currency,
        head: Windows,
        sides: impl IntoIterator<Item = Item>,
    ) -> Self {
        let mut windows: BTreeMap<i64, Window> = BTreeMap::new();
        let mut exceptions: BTreeMap<Box<str>, Exception> = BTreeMap::new();
        for window in &head.windows {
            windows.insert(window.cycle.cutoff.0, window.clone());
        }
        for exception in &head.exceptions {
            exceptions.insert(exception.id.clone(), exception.clone());
        }
        for item in sides {
            match item {
                Item::Window(window) => {
                    windows.entry(window.cycle.cutoff.0).or_insert(*window);
                }
                Item::Exception(exception) => {
                    exceptions.entry(exception.id.clone()).or_insert(*exception);
                }
            }
        }
        Self {
            network: network.into(),
            currency,
            head,
            windows: windows.into_values().collect(),
            exceptions: exceptions.into_values().collect(),
        }
    }

    /// The window's name: what its instruction is called, whether or not there is one.
    pub fn name_of(&self, window: &Window) -> String {
        instruction_reference(&self.network, self.currency, window.cycle.cutoff).into()
    }
}

/// Network and currency of a record key.
fn parse_key(key: &str) -> Option<(&str, Currency)> {
    let (network, currency) = key.rsplit_once('/')?;
    Some((network, Currency::parse(currency)?))
}

pub struct Books(StageRows);

impl Books {
    /// Errors: those of `StageRows::open`.
    pub async fn open(config: &Config) -> Result<Self, i32> {
        StageRows::open::<WindowsStage>(config).await.map(Self)
    }

    /// The partition in which everything about a network and currency lies.
    pub fn place(&self, network: &str, currency: Currency) -> Place {
        self.0.place(&window_key(network, currency))
    }

    /// Two reads; `None` where nothing is stored.
    pub async fn one(&self, network: &str, currency: Currency) -> Result<Option<Book>, i32> {
        let place = self.place(network, currency);
        let wanted = |known: &str, of: Currency| known == network && of == currency;
        let books = self.bucket(place.partition, place.bucket, &wanted).await?;
        Ok(books.into_iter().next())
    }

    /// The wanted books, by network and currency; reads every bucket.
    pub async fn all(&self, wanted: impl Fn(&str, Currency) -> bool) -> Result<Vec<Book>, i32> {
        let wanted = &wanted;
        let scan = |(partition, bucket)| self.bucket(partition, bucket, wanted);
        let scans = self.0.buckets().map(scan);
        let mut scans = stream::iter(scans).buffer_unordered(SCANS_IN_FLIGHT);
        let mut books = Vec::new();
        while let Some(scan) = scans.next().await {
            books.extend(scan?);
        }
        books.sort_by(|a: &Book, b| (&a.network, a.currency).cmp(&(&b.network, b.currency)));
        Ok(books)
    }

    async fn bucket(
        &self,
        partition: i32,
        bucket: u32,
        wanted: &impl Fn(&str, Currency) -> bool,
    ) -> Result<Vec<Book>, i32> {
        let log = self.0.log(partition);
        let is_wanted =
            |key: &str| parse_key(key).is_some_and(|(network, currency)| wanted(network, currency));
        let mut heads: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let take = |key: Box<str>, bytes: Vec<u8>| {
            if is_wanted(&key) {
                heads.insert(key.into(), bytes);
            }
        };
        self.0.store.load_heads(log, bucket, take).await.map_err(failed)?;
        if heads.is_empty() {
            return Ok(Vec::new());
        }
        let mut sides: Vec<(String, Vec<u8>)> = Vec::new();
        let mut versions = BTreeSet::new();
        let take = |key: String, item: String, _, bytes: Vec<u8>| {
            // Newest first: older versions of an item are past.
            if heads.contains_key(&key) && versions.insert((key.clone(), item)) {
                sides.push((key, bytes));
            }
        };
        self.0.store.load_sides(log, bucket, take).await.map_err(failed)?;
        let book = |(key, head): (&String, &Vec<u8>)| {
            let beside = sides.iter().filter(|(of, _)| of == key).map(|(_, bytes)| &**bytes);
            Some(self.book(key, parse_key(key)?, head, beside))
        };
        heads.iter().filter_map(book).collect()
    }

    fn book<'r>(
        &self,
        key: &str,
        (network, currency): (&str, Currency),
        head: &[u8],
        beside: impl Iterator<Item = &'r [u8]>,
    ) -> Result<Book, i32> {
        let row: Row<Windows> = self.0.decode(Subject::WindowsHead, key, head)?;
        let item = |bytes: &[u8]| {
            let row = self.0.decode::<SideRow<Item>>(Subject::WindowsSide, key, bytes);
            row.map(|row| row.item)
        };
        let items: Result<Vec<Item>, i32> = beside.map(item).collect();
        Ok(Book::of(network, currency, row.state, items?))
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::domain::{cycle::Cycle, time::LogTime};
    use crate::stages::settlement::windows::Status;

    pub fn window(cutoff_ms: i64, status: Status) -> Window {
        let cycle = Cycle { cutoff: LogTime(cutoff_ms), business_date: 0, number: 1 };
        Window { status, ..Window::open(cycle) }
    }

    /// Goal: a window that came back into the head is shown as it is there. Method: a head with one
    /// window, side rows of that window and of an older one.
    #[test]
    fn the_head_is_newer() {
        let currency = Currency::parse("CAD").expect("a code");
        let head = Windows { windows: vec![window(20, Status::Settled)], ..Windows::default() };
        let sides = [window(20, Status::Closed), window(10, Status::Instructed)];
        let sides = sides.map(|window| Item::Window(Box::new(window)));
        let book = Book::of("visa", currency, head, sides);
        let found: Vec<(i64, Status)> =
            book.windows.iter().map(|it| (it.cycle.cutoff.0, it.status)).collect();
        assert_eq!(found, [(10, Status::Instructed), (20, Status::Settled)]);
        assert_eq!(book.name_of(&book.windows[0]), "visa/CAD/10");
        assert_eq!(parse_key("a/b/CAD"), Some(("a/b", currency)));
    }
}
