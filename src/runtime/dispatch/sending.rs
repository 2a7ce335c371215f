//! Resolving and sending: from an obligation that may begin to the answers of its gateways.
//!
//! Owns the life of a send: behind, queued, under way, pausing, ended. All devices of an obligation
//! are sent to at the same time. An attempt that fails for now comes again after a random pause, or
//! what the gateway asks for; one that comes too late is not begun at all.

use super::{
    Attempt, Dispatch, Timer, Told,
    breaker::Health,
    job::{DeviceSend, Recipient, SendRef, SendState, Stage},
    ports::DispatchPorts,
    zone::minute_of_day,
};
use crate::domain::push::{Answer, Outcome, Platform, Targets};
#[cfg(test)]
use crate::runtime::sabotage::{self, Bug};
use crate::stages::push;
use std::collections::BTreeSet;

impl Dispatch {
    /// Asks for the devices of whoever may be told next.
    pub(super) fn begin_asks<P: DispatchPorts>(&mut self, ports: &mut P) {
        while self.asks.len() < self.options.settings.in_flight_max
            && let Some(number) = self.recipients.begin()
        {
            let ask = self.number();
            let Some(job) = self.jobs.get_mut(&number) else { continue };
            job.stage = Stage::Asking;
            self.asks.insert(ask, (number, job.partition));
            ports.resolve(ask, &job.obligation.customer_id);
        }
    }

    pub(super) fn resolved<P: DispatchPorts>(&mut self, ask: u64, of: Targets, ports: &mut P) {
        let Some((number, _)) = self.asks.remove(&ask) else { return };
        let Some(job) = self.jobs.get_mut(&number) else { return };
        job.preferences = of.preferences;
        let now_ms = self.now_ms;
        let minute = |quiet: &crate::domain::push::QuietHours| minute_of_day(now_ms, &quiet.zone);
        if let Err(code) = push::wanted(&job.preferences, &job.obligation, minute) {
            return self.conclude(number, Outcome::Preference, code, ports);
        }
        if of.devices.is_empty() {
            return self.conclude(number, Outcome::Preference, "no_device", ports);
        }
        if self.is_superseded(number) {
            return self.conclude(number, Outcome::Superseded, "", ports);
        }
        let Some(job) = self.jobs.get_mut(&number) else { return };
        job.stage = Stage::Sending;
        let mut keys = BTreeSet::new();
        for device in of.devices {
            let key = push::device_key(&job.obligation.id, &device);
            if keys.len() < self.options.settings.devices_max && keys.insert(key.clone()) {
                job.sends.push(DeviceSend::new(device, key));
            }
        }
        let recipient = job.recipient();
        self.recipients.resolved(&recipient, number);
        self.refuse_platforms(number);
        self.queue_behind(&recipient);
        self.settle(number, ports);
    }

    /// Devices of a kind that this release does not know.
    fn refuse_platforms(&mut self, number: u64) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        for send in &mut job.sends {
            if !self.gates.contains_key(&send.platform()) {
                send.state = SendState::Ended;
                send.report.outcome = Outcome::Rejected;
                send.report.code = "unknown_platform".into();
            }
        }
    }

    /// Puts the customer's sends into the gateways' queues, but for those behind an earlier
    /// obligation's at the same gateway.
    fn queue_behind(&mut self, recipient: &Recipient) {
        let Some(customer) = self.recipients.get(recipient) else { return };
        let mut busy: BTreeSet<Platform> = BTreeSet::new();
        for number in &customer.under_way {
            let Some(job) = self.jobs.get_mut(number) else { continue };
            let mut own = Vec::new();
            for (place, send) in job.sends.iter_mut().enumerate() {
                let platform = send.platform();
                if send.state == SendState::Behind
                    && !busy.contains(&platform)
                    && let Some(gate) = self.gates.get_mut(&platform)
                {
                    self.next_number += 1;
                    send.state = SendState::Queued { place: self.next_number };
                    gate.push(self.next_number, (*number, place), false);
                }
                if send.is_open() {
                    own.push(platform);
                }
            }
            busy.extend(own);
        }
    }

    /// A newer version of the same line is on its way, and its customer wants to hear of it.
    fn is_superseded(&self, number: u64) -> bool {
        let Some(job) = self.jobs.get(&number) else { return false };
        let customer = self.recipients.get(&job.recipient());
        let newest = customer.and_then(|it| it.newest.get(&job.obligation.line));
        let Some(newer) = newest.filter(|(_, newest)| *newest != number) else { return false };
        let now_ms = self.now_ms;
        let minute = |quiet: &crate::domain::push::QuietHours| minute_of_day(now_ms, &quiet.zone);
        self.jobs.get(&newer.1).is_some_and(|newer| {
            newer.obligation.version > job.obligation.version
                && push::wanted(&job.preferences, &newer.obligation, minute).is_ok()
        })
    }

    pub(super) fn begin_attempts<P: DispatchPorts>(&mut self, ports: &mut P) {
        for platform in Platform::ALL {
            while let Some(gate) = self.gates.get_mut(&platform)
                && let Some(send) = gate.pop(self.now_ms)
            {
                self.begin_attempt(platform, send, ports);
            }
        }
    }

    fn begin_attempt<P: DispatchPorts>(
        &mut self,
        platform: Platform,
        (number, place): SendRef,
        ports: &mut P,
    ) {
        let Some(job) = self.jobs.get(&number) else { return };
        let is_queued = |send: &DeviceSend| matches!(send.state, SendState::Queued { .. });
        if !job.sends.get(place).is_some_and(is_queued) {
            return;
        }
        if job.expires_ms <= self.now_ms {
            return self.end_send((number, place), Outcome::Expired, ports);
        }
        if self.is_superseded(number) {
            return self.end_send((number, place), Outcome::Superseded, ports);
        }
        let attempt = self.number();
        let (now_ms, give_up_ms) =
            (self.now_ms, self.now_ms + self.options.settings.attempt_timeout_ms());
        let (Some(job), Some(gate)) = (self.jobs.get_mut(&number), self.gates.get_mut(&platform))
        else {
            return;
        };
        let send = &mut job.sends[place];
        let is_retry = send.report.attempts > 0;
        send.report.attempts += 1;
        send.state = SendState::UnderWay { attempt };
        gate.began(attempt, is_retry, now_ms);
        if is_retry {
            *self.counts.retries.entry(platform).or_default() += 1;
        }
        let notification = push::notification(&job.obligation, &send.report.key);
        #[cfg(test)]
        let notification = sabotaged(notification, send.report.attempts, now_ms);
        ports.send(attempt, &send.device, &notification);
        let begun = Attempt { send: (number, place), platform, began_ms: now_ms, given_up: false };
        self.attempts.insert(attempt, begun);
        self.timers.insert((give_up_ms, Timer::GiveUp(attempt)));
        #[cfg(test)]
        if sabotage::on(Bug::PushOutcomeBeforeSend) {
            self.end_send((number, place), Outcome::Delivered, ports);
        }
    }

    pub(super) fn answered<P: DispatchPorts>(
        &mut self,
        attempt: u64,
        answer: Answer,
        ports: &mut P,
    ) {
        let Some(known) = self.attempts.remove(&attempt) else { return };
        let timeout_ms = self.options.settings.attempt_timeout_ms();
        self.timers.remove(&(known.began_ms + timeout_ms, Timer::GiveUp(attempt)));
        self.timers.remove(&(known.began_ms + 2 * timeout_ms, Timer::Forget(attempt)));
        if !known.given_up {
            self.note_health(attempt, &known, &answer);
        }
        let is_open = |send: &DeviceSend| send.is_open() && send.state != SendState::Behind;
        let job = self.jobs.get_mut(&known.send.0);
        let Some(send) =
            job.and_then(|job| job.sends.get_mut(known.send.1)).filter(|it| is_open(it))
        else {
            return;
        };
        match answer {
            Answer::Accepted => self.end_send(known.send, Outcome::Delivered, ports),
            Answer::Gone => {
                send.report.code = "gone".into();
                let device = send.device.clone();
                if let Some(job) = self.jobs.get(&known.send.0) {
                    self.counts.devices_forgotten += 1;
                    ports.forget_device(&job.obligation.customer_id, &device);
                }
                self.end_send(known.send, Outcome::Rejected, ports);
            }
            Answer::Rejected { code } => {
                send.report.code = code;
                self.end_send(known.send, Outcome::Rejected, ports);
            }
            Answer::Later { .. } if known.given_up => {}
            Answer::Later { code, retry_after_ms } => {
                send.report.code = code;
                self.pause(known.send, retry_after_ms.unwrap_or(0), ports);
            }
        }
    }

    /// Counts the answer and tells the gateway's breaker.
    fn note_health(&mut self, attempt: u64, known: &Attempt, answer: &Answer) {
        let took_ms = self.now_ms - known.began_ms;
        let (told, health) = match answer {
            Answer::Accepted => (Told::Accepted, Health::Alive { took_ms }),
            Answer::Gone => (Told::Gone, Health::Alive { took_ms }),
            Answer::Rejected { .. } => (Told::Rejected, Health::Alive { took_ms }),
            Answer::Later { retry_after_ms, .. } => {
                let retry_after_ms = retry_after_ms.unwrap_or(0);
                (Told::Later, Health::Failed { retry_after_ms })
            }
        };
        self.note(attempt, known, told, health);
    }

    fn note(&mut self, attempt: u64, known: &Attempt, told: Told, health: Health) {
        *self.counts.told.entry((known.platform, told)).or_default() += 1;
        if let Some(gate) = self.gates.get_mut(&known.platform) {
            gate.ended(attempt, known.began_ms, health, self.now_ms);
        }
    }

    /// No answer in time. The request may still have arrived: the repeat has the same key.
    pub(super) fn give_up<P: DispatchPorts>(&mut self, attempt: u64, ports: &mut P) {
        let Some(known) = self.attempts.get_mut(&attempt) else { return };
        known.given_up = true;
        let known = known.clone();
        let timeout_ms = self.options.settings.attempt_timeout_ms();
        self.timers.insert((known.began_ms + 2 * timeout_ms, Timer::Forget(attempt)));
        self.note(attempt, &known, Told::Unanswered, Health::Failed { retry_after_ms: 0 });
        let job = self.jobs.get_mut(&known.send.0);
        if let Some(send) = job.and_then(|job| job.sends.get_mut(known.send.1))
            && send.state == (SendState::UnderWay { attempt })
        {
            send.report.code = "no_answer".into();
            self.pause(known.send, 0, ports);
        }
    }

    fn pause<P: DispatchPorts>(&mut self, of: SendRef, retry_after_ms: i64, ports: &mut P) {
        let Some(job) = self.jobs.get_mut(&of.0) else { return };
        if job.expires_ms <= self.now_ms {
            return self.end_send(of, Outcome::Expired, ports);
        }
        let send = &mut job.sends[of.1];
        let drawn_ms = self.jitter.pause_ms(send.report.attempts);
        let until_ms = self.now_ms.saturating_add(retry_after_ms.max(0)).saturating_add(drawn_ms);
        send.state = SendState::Pausing { until_ms };
        self.timers.insert((until_ms, Timer::Again(of)));
    }

    pub(super) fn pause_over(&mut self, (number, place): SendRef) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        let Some(send) = job.sends.get_mut(place) else { return };
        if let SendState::Pausing { .. } = send.state
            && let Some(gate) = self.gates.get_mut(&send.device.platform)
        {
            self.next_number += 1;
            send.state = SendState::Queued { place: self.next_number };
            gate.push(self.next_number, (number, place), true);
        }
    }

    fn end_send<P: DispatchPorts>(&mut self, of: SendRef, outcome: Outcome, ports: &mut P) {
        let Some(job) = self.jobs.get_mut(&of.0) else { return };
        let Some(send) = job.sends.get_mut(of.1).filter(|send| send.is_open()) else { return };
        match send.state {
            SendState::Pausing { until_ms } => {
                self.timers.remove(&(until_ms, Timer::Again(of)));
            }
            SendState::Queued { place } => {
                if let Some(gate) = self.gates.get_mut(&send.device.platform) {
                    gate.leave(place);
                }
            }
            SendState::Behind | SendState::UnderWay { .. } | SendState::Ended => {}
        }
        send.state = SendState::Ended;
        send.report.outcome = outcome;
        if outcome == Outcome::Delivered {
            send.report.code = "".into();
        }
        let recipient = job.recipient();
        if job.is_accepted() {
            self.recipients.told(&recipient, of.0);
        }
        self.queue_behind(&recipient);
        self.settle(of.0, ports);
    }

    /// Ends the obligation if its last send has ended.
    fn settle<P: DispatchPorts>(&mut self, number: u64, ports: &mut P) {
        if let Some(job) = self.jobs.get(&number).filter(|job| job.has_ended()) {
            let last = job.sends.iter().rfind(|send| send.report.outcome != Outcome::Delivered);
            let code = match job.outcome() {
                Outcome::Delivered => "".into(),
                _ => last.map_or("".into(), |send| send.report.code.clone()),
            };
            let outcome = job.outcome();
            self.conclude(number, outcome, &code, ports);
        }
    }

    /// Its time is over: nothing more begins; what is under way may still arrive.
    pub(super) fn expire<P: DispatchPorts>(&mut self, number: u64, ports: &mut P) {
        let Some(job) = self.jobs.get(&number) else { return };
        if job.stage != Stage::Sending {
            return self.conclude(number, Outcome::Expired, "", ports);
        }
        let idle: Vec<usize> = (0..job.sends.len())
            .filter(|place| {
                let state = &job.sends[*place].state;
                !matches!(state, SendState::UnderWay { .. } | SendState::Ended)
            })
            .collect();
        for place in idle {
            self.end_send((number, place), Outcome::Expired, ports);
        }
    }
}

#[cfg(test)]
fn sabotaged(
    mut notification: crate::domain::push::Notification,
    attempts: i32,
    now_ms: i64,
) -> crate::domain::push::Notification {
    if sabotage::on(Bug::PushBodyByTimeOfSending) {
        notification.body = format!("{} ({now_ms})", notification.body).into();
    }
    if sabotage::on(Bug::PushKeyWithAttempt) {
        notification.key = format!("{}:{attempts}", notification.key).into();
    }
    notification
}
