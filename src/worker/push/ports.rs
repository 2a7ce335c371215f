//! The live ports of the executor: the store of devices, the gateways, Kafka's producer.
//!
//! Owns how requests become tasks and answers become arrivals. The store is asked until it answers;
//! a gateway once, within its time. Prints no token and no text of a notification.

use super::{Gateways, executor::Shared};
use crate::adapters::{
    cassandra::{failure::StoreError, push_targets::PushTargets},
    kafka::{
        intake::Intake,
        sender::{Outbound, Sender, Ticket},
    },
};
use crate::codec::{
    headers::{CE_TYPE, ORIGIN_MS},
    topics::PUSH_DEAD_LETTERS,
};
use crate::domain::{
    ids::CustomerId,
    push::{Answer, Device, Notification, Targets},
};
use crate::runtime::{
    dispatch::{Arrival, DispatchPorts},
    failure::{Class, pauses},
    ports::{Publish, PublishTopic},
    telemetry::{self, StageMeters},
};
use crate::stages::push::NAME;
use futures_util::future::BoxFuture;
use std::{sync::Arc, time::Duration};
use tokio::runtime::Handle;

/// The tables of devices and preferences, as far as sending needs them.
pub trait TargetStore: Send + Sync + 'static {
    fn targets<'a>(
        &'a self,
        customer: &'a CustomerId,
    ) -> BoxFuture<'a, Result<Targets, StoreError>>;

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

pub(super) struct LivePorts {
    pub shared: Arc<Shared>,
    pub sender: Sender,
    pub intake: Intake,
    pub targets: Arc<dyn TargetStore>,
    pub gateways: Gateways,
    pub attempt_timeout: Duration,
    pub topic_prefix: String,
    pub tokio: Handle,
    pub meters: Arc<StageMeters>,
}

impl DispatchPorts for LivePorts {
    fn resolve(&mut self, ask: u64, customer: &CustomerId) {
        let (shared, store, customer) =
            (self.shared.clone(), self.targets.clone(), customer.clone());
        let meters = self.meters.clone();
        crate::worker::spawn_or_end(&self.tokio, async move {
            let mut pauses = pauses();
            while !shared.has_ended() {
                match store.targets(&customer).await {
                    Ok(targets) => return shared.send(Arrival::Targets { ask, targets }),
                    // One customer's row must not stop everybody's.
                    Err(failure @ StoreError::Row(_)) => {
                        tracing::error!(stage = NAME, %failure,
                            "devices of a customer cannot be read; taken for none");
                        let targets = Targets::default();
                        return shared.send(Arrival::Targets { ask, targets });
                    }
                    Err(failure) if failure.class() == Class::Fatal => {
                        crate::worker::end_process(&failure.to_string())
                    }
                    Err(failure) => {
                        meters.retried("store_read");
                        tracing::warn!(stage = NAME, %failure,
                            "devices of a customer cannot be read yet; asking again");
                    }
                }
                tokio::time::sleep(pauses.next().unwrap_or_default()).await;
            }
        });
    }

    fn send(&mut self, attempt: u64, device: &Device, notification: &Notification) {
        let shared = self.shared.clone();
        let platform = device.platform;
        let Some(gateway) = self.gateways.get(&platform).cloned() else {
            let answer = Answer::rejected("no_gateway");
            return shared.send(Arrival::Answered { attempt, answer });
        };
        let (device, notification) = (device.clone(), notification.clone());
        // A moment longer than the executor waits: it counts the silence itself.
        let most = self.attempt_timeout + Duration::from_secs(1);
        crate::worker::spawn_or_end(&self.tokio, async move {
            let begun_ns = telemetry::steady_ns();
            let answered = tokio::time::timeout(most, gateway.send(&device, &notification)).await;
            telemetry::push_answered(platform.name(), telemetry::seconds_since(begun_ns));
            let answer = answered.unwrap_or(Answer::later("no_answer"));
            shared.send(Arrival::Answered { attempt, answer });
        });
    }

    fn publish(&mut self, ticket: u64, record: Publish) {
        let shared = self.shared.clone();
        let sent_ns = telemetry::steady_ns();
        let ack_seconds = self.meters.produce_ack_seconds.clone();
        let is_delivered =
            record.headers.text(CE_TYPE).is_some_and(|name| name.ends_with(".delivered.v1"));
        let origin_ms: Option<i64> =
            record.headers.text(ORIGIN_MS).and_then(|text| text.parse().ok());
        let origin_ms = origin_ms.filter(|_| is_delivered);
        let acks = Ticket::new(
            1,
            Box::new(move |_| {
                ack_seconds.record(telemetry::seconds_since(sent_ns));
                if let Some(origin_ms) = origin_ms {
                    telemetry::end_to_end("command", "push", origin_ms, telemetry::now_ms());
                }
                shared.send(Arrival::Acknowledged { ticket });
            }),
        );
        let topic = match record.topic {
            PublishTopic::DeadLetters => PUSH_DEAD_LETTERS,
            PublishTopic::Output(topic) => topic,
        };
        let topic = format!("{}{}", self.topic_prefix, topic.0);
        if let Err(error) = self.sender.send(Outbound::of(&record, &topic), &acks) {
            crate::worker::end_process(&error.to_string());
        }
    }

    fn forget_device(&mut self, customer: &CustomerId, device: &Device) {
        let (store, customer, device) = (self.targets.clone(), customer.clone(), device.clone());
        // Once: if it fails, the next notification to the device finds it gone again.
        crate::worker::spawn_or_end(&self.tokio, async move {
            if let Err(failure) = store.forget(&customer, &device).await {
                tracing::warn!(stage = NAME, %failure, "a device that is gone stays for now");
            }
        });
    }

    fn commit(&mut self, partition: i32, next_offset: i64) {
        self.intake.commit(partition, next_offset);
    }
}
