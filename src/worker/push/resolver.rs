//! Devices and preferences for the executor, read for many customers in one request.
//!
//! Owns the one question to the store that is under way. Who asks meanwhile, or within some
//! milliseconds, is in the next: where much is asked the questions grow and not their number, for
//! what one costs the store is the request, and hardly the rows (docs/benchmarks.md). The
//! store is asked until it answers. A question that fails is asked again customer by customer:
//! those whose replicas are away hold up nobody else.

use super::executor::Shared;
use crate::adapters::cassandra::{
    failure::StoreError,
    push_targets::{Found, PushTargets},
};
use crate::domain::{
    ids::CustomerId,
    push::{Device, Targets},
};
use crate::runtime::{
    dispatch::Arrival,
    failure::{Class, pauses},
    telemetry::StageMeters,
};
use crate::stages::push::NAME;
use futures_util::future::BoxFuture;
use std::{sync::Arc, time::Duration};
use tokio::{
    runtime::Handle,
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

/// Customers of one question: it stays small beside what a node reads at a time.
const CUSTOMERS_MAX: usize = 64;
/// How long the first who asks waits for others: feed items come in batches of the log's, some
/// dozen at a time, and a push is seconds from being late.
const GATHERED_WITHIN: Duration = Duration::from_millis(5);

/// The tables of devices and preferences, as far as sending needs them.
pub trait TargetStore: Send + Sync + 'static {
    fn targets<'a>(
        &'a self,
        customer: &'a CustomerId,
    ) -> BoxFuture<'a, Result<Targets, StoreError>>;

    /// Of many in one request; absent: of whom nothing was ever written.
    fn targets_of<'a>(
        &'a self,
        customers: &'a [CustomerId],
    ) -> BoxFuture<'a, Result<Found, StoreError>>;

    /// The gateway says that the device is gone. One that was put anew under the same name with
    /// another token must stay.
    fn forget<'a>(
        &'a self,
        customer: &'a CustomerId,
        device: &'a Device,
    ) -> BoxFuture<'a, Result<(), StoreError>>;
}

impl TargetStore for PushTargets {
    fn targets<'a>(
        &'a self,
        customer: &'a CustomerId,
    ) -> BoxFuture<'a, Result<Targets, StoreError>> {
        Box::pin(self.targets(customer))
    }

    fn targets_of<'a>(
        &'a self,
        customers: &'a [CustomerId],
    ) -> BoxFuture<'a, Result<Found, StoreError>> {
        Box::pin(self.targets_of(customers))
    }

    fn forget<'a>(
        &'a self,
        customer: &'a CustomerId,
        device: &'a Device,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            match self.targets(customer).await?.devices.contains(device) {
                true => self.delete_device(customer, &device.device_id).await,
                false => Ok(()),
            }
        })
    }
}

/// Asks the store on tokio.
pub(super) struct Resolver {
    /// Bounded by what the executor lets wait.
    asks: UnboundedSender<Ask>,
}

struct Ask {
    number: u64,
    customer: CustomerId,
}

#[derive(Clone)]
struct Asker {
    shared: Arc<Shared>,
    store: Arc<dyn TargetStore>,
    meters: Arc<StageMeters>,
    tokio: Handle,
}

impl Resolver {
    pub fn start(
        tokio: &Handle,
        shared: Arc<Shared>,
        store: Arc<dyn TargetStore>,
        meters: Arc<StageMeters>,
    ) -> Self {
        let (asks, asked) = unbounded_channel();
        let asker = Asker { shared, store, meters, tokio: tokio.clone() };
        crate::worker::spawn_or_end(tokio, asker.run(asked));
        Self { asks }
    }

    /// Answered by `Arrival::Targets`.
    pub fn ask(&self, number: u64, customer: &CustomerId) {
        // Its reader ends with the process.
        let _ = self.asks.send(Ask { number, customer: customer.clone() });
    }
}

impl Asker {
    async fn run(self, mut asked: UnboundedReceiver<Ask>) {
        let mut asks = Vec::with_capacity(CUSTOMERS_MAX);
        while gather(&mut asked, &mut asks).await {
            let customers: Vec<CustomerId> = asks.iter().map(|ask| ask.customer.clone()).collect();
            match self.store.targets_of(&customers).await {
                Ok(found) => {
                    for Ask { number, customer } in asks.drain(..) {
                        // A customer may be asked for twice, by two partitions.
                        let targets = match found.get(&customer) {
                            None => Targets::default(),
                            Some(Ok(targets)) => targets.clone(),
                            Some(Err(failure)) => unreadable(failure),
                        };
                        self.shared.send(Arrival::Targets { ask: number, targets });
                    }
                }
                Err(failure) => {
                    // A row that cannot be read is one customer's matter: alone it is told apart.
                    if !matches!(failure, StoreError::Row(_)) {
                        self.retried(failure);
                    }
                    for ask in asks.drain(..) {
                        crate::worker::spawn_or_end(&self.tokio, self.clone().alone(ask));
                    }
                }
            }
        }
    }

    /// Asks for one customer until the store answers.
    async fn alone(self, Ask { number, customer }: Ask) {
        let mut pauses = pauses();
        while !self.shared.has_ended() {
            let targets = match self.store.targets(&customer).await {
                Ok(targets) => targets,
                Err(failure @ StoreError::Row(_)) => unreadable(&failure),
                Err(failure) => {
                    self.retried(failure);
                    tokio::time::sleep(pauses.next().unwrap_or_default()).await;
                    continue;
                }
            };
            return self.shared.send(Arrival::Targets { ask: number, targets });
        }
    }

    fn retried(&self, failure: StoreError) {
        if failure.class() == Class::Fatal {
            crate::worker::end_process(&failure.to_string())
        }
        self.meters.retried("store_read");
        tracing::warn!(stage = NAME, %failure,
            "devices of customers cannot be read yet; asking again");
    }
}

/// Fills `asks` for the next question. False: nobody will ask any more.
async fn gather(asked: &mut UnboundedReceiver<Ask>, asks: &mut Vec<Ask>) -> bool {
    let Some(first) = asked.recv().await else { return false };
    asks.push(first);
    tokio::time::sleep(GATHERED_WITHIN).await;
    while asks.len() < CUSTOMERS_MAX
        && let Ok(ask) = asked.try_recv()
    {
        asks.push(ask);
    }
    true
}

/// One customer's row must not stop everybody's.
fn unreadable(failure: &StoreError) -> Targets {
    tracing::error!(stage = NAME, %failure,
        "devices of a customer cannot be read; taken for none");
    Targets::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::push::Preferences;
    use std::{
        collections::BTreeMap,
        sync::{Mutex, mpsc},
    };
    use tokio::sync::Semaphore;

    /// Answers a question when it gets a permit; remembers whom it was asked for.
    struct Slow {
        permits: Semaphore,
        fails_many: Option<fn() -> StoreError>,
        asked: Mutex<Vec<Vec<String>>>,
    }

    impl Slow {
        fn new(fails_many: Option<fn() -> StoreError>) -> Arc<Self> {
            Arc::new(Self { permits: Semaphore::new(0), fails_many, asked: Mutex::default() })
        }

        async fn answer(&self, customers: &[CustomerId]) {
            let names = customers.iter().map(|customer| customer.as_str().to_owned()).collect();
            self.asked.lock().expect("nobody panics").push(names);
            self.permits.acquire().await.expect("never closed").forget();
        }
    }

    impl TargetStore for Slow {
        fn targets<'a>(
            &'a self,
            customer: &'a CustomerId,
        ) -> BoxFuture<'a, Result<Targets, StoreError>> {
            Box::pin(async move {
                self.answer(std::slice::from_ref(customer)).await;
                Ok(known())
            })
        }

        fn targets_of<'a>(
            &'a self,
            customers: &'a [CustomerId],
        ) -> BoxFuture<'a, Result<Found, StoreError>> {
            Box::pin(async move {
                self.answer(customers).await;
                if let Some(failure) = self.fails_many {
                    return Err(failure());
                }
                let of = |customer: &CustomerId| match customer.as_str() {
                    "broken" => Some((customer.clone(), Err(StoreError::Row("torn".into())))),
                    "nobody" => None,
                    _ => Some((customer.clone(), Ok(known()))),
                };
                Ok(customers.iter().filter_map(of).collect())
            })
        }

        fn forget<'a>(
            &'a self,
            _: &'a CustomerId,
            _: &'a Device,
        ) -> BoxFuture<'a, Result<(), StoreError>> {
            Box::pin(async { Ok(()) })
        }
    }

    /// Told from the default.
    fn known() -> Targets {
        let smallest_minor = BTreeMap::from([("EUR".into(), 7)]);
        let preferences = Preferences { smallest_minor, ..Preferences::default() };
        Targets { devices: Vec::new(), preferences }
    }

    /// Asks for the customers, then lets the store answer; question number -> is known.
    fn answers(store: &Arc<Slow>, customers: &[&str]) -> BTreeMap<u64, bool> {
        let tokio = tokio::runtime::Builder::new_multi_thread().enable_time().build();
        let tokio = tokio.expect("a runtime");
        let (sender, arrivals) = mpsc::channel();
        let meters = Arc::new(StageMeters::new(NAME));
        let resolver = Resolver::start(tokio.handle(), Shared::new(sender), store.clone(), meters);
        for (number, customer) in (0..).zip(customers) {
            resolver.ask(number, &CustomerId::from(*customer));
            // The first is under way before the others come.
            while store.asked.lock().expect("nobody panics").is_empty() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        store.permits.add_permits(2 * customers.len());
        let next = || arrivals.recv_timeout(Duration::from_secs(20)).expect("an answer");
        let answer = |_| match next() {
            Arrival::Targets { ask, targets } => (ask, targets == known()),
            other => panic!("{other:?}"),
        };
        customers.iter().map(answer).collect()
    }

    /// Goal: who asks while a question is under way is in the next one, and each gets its own
    /// answer. Method: a store that holds the first question back; then what it was asked.
    #[test]
    fn many_in_one_question() {
        let store = Slow::new(None);
        let answers = answers(&store, &["a", "b", "nobody", "broken", "b"]);
        assert_eq!(
            answers,
            BTreeMap::from([(0, true), (1, true), (2, false), (3, false), (4, true)])
        );
        let asked = store.asked.lock().expect("nobody panics").clone();
        assert_eq!(asked[0], ["a"]);
        assert_eq!(asked[1..].concat(), ["b", "nobody", "broken", "b"]);
        assert_eq!(asked.len(), 2, "{asked:?}");
    }

    /// Goal: a question that fails for one holds up nobody else, and a row that cannot be read
    /// never ends the process. Method: a store that answers no question about several.
    #[test]
    fn alone_after_a_failure() {
        for failure in
            [|| StoreError::Unreachable("away".into()), || StoreError::Row("torn".into())]
        {
            let answers = answers(&Slow::new(Some(failure)), &["a", "b", "c"]);
            assert_eq!(answers, BTreeMap::from([(0, true), (1, true), (2, true)]));
        }
    }
}
