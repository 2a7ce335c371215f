//! The live ports of the executor: the store of devices, the gateways, Kafka's producer.
//!
//! Owns how requests become tasks and answers become arrivals; `resolver` asks the store. A gateway
//! is asked once, within its time. Prints no token and no text of a notification.

use super::{
    Gateways,
    executor::Shared,
    resolver::{Resolver, TargetStore},
};
use crate::adapters::kafka::{
    intake::Intake,
    sender::{Outbound, Sender, Ticket},
};
use crate::codec::{
    headers::{CE_TYPE, ORIGIN_MS},
    topics::PUSH_DEAD_LETTERS,
};
use crate::domain::{
    ids::CustomerId,
    push::{Answer, Device, Notification},
};
use crate::runtime::{
    dispatch::{Arrival, DispatchPorts},
    ports::{Publish, PublishTopic},
    telemetry::{self, StageMeters},
};
use crate::stages::push::NAME;
use std::{sync::Arc, time::Duration};
use tokio::runtime::Handle;

pub(super) struct LivePorts {
    pub shared: Arc<Shared>,
    pub sender: Sender,
    pub intake: Intake,
    pub resolver: Resolver,
    pub targets: Arc<dyn TargetStore>,
    pub gateways: Gateways,
    pub attempt_timeout: Duration,
    pub topic_prefix: String,
    pub tokio: Handle,
    pub meters: Arc<StageMeters>,
}

impl DispatchPorts for LivePorts {
    fn resolve(&mut self, ask: u64, customer: &CustomerId) {
        self.resolver.ask(ask, customer);
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
