//! Endings: an obligation's one outcome, its acknowledgement, and the offsets that follow.
//!
//! Owns the order outcome, acknowledgement, commit. An outcome goes out under the feed record's own
//! id, so a repeat after a crash is recognised by whoever reads outcomes: the first counts.

use super::{COMMIT_EVERY_MS, Dispatch, Timer, ports::DispatchPorts};
use crate::codec::topics::PUSH_OUTCOMES;
use crate::domain::push::{Outcome, PushOutcome};
use crate::runtime::ports::{Destination, Publish, PublishTopic};
#[cfg(test)]
use crate::runtime::sabotage::{self, Bug};

impl Dispatch {
    pub(super) fn conclude<P: DispatchPorts>(
        &mut self,
        number: u64,
        outcome: Outcome,
        code: &str,
        ports: &mut P,
    ) {
        let Some(job) = self.jobs.remove(&number) else { return };
        self.timers.remove(&(job.expires_ms, Timer::Expire(number)));
        self.recipients.ended(&job.recipient(), &job.obligation.line, number);
        *self.counts.outcomes.entry(outcome).or_default() += 1;
        let obligation = job.obligation;
        let record = PushOutcome {
            customer_id: obligation.customer_id,
            obligation_id: obligation.id,
            line: obligation.line,
            version: obligation.version,
            kind: obligation.kind,
            outcome,
            code: code.into(),
            title: obligation.title,
            body: obligation.body,
            sends: job.sends.into_iter().map(|send| send.report).collect(),
        };
        let (value, headers) = self.codec.outcome(&record, &job.cause, job.log_time);
        let record = Publish {
            topic: PublishTopic::Output(PUSH_OUTCOMES),
            destination: Destination::ByKey,
            key: Some(record.customer_id.as_str().as_bytes().to_vec()),
            value: Some(value),
            headers,
        };
        ports.publish(number, record);
    }

    pub(super) fn acknowledged(&mut self, number: u64) {
        let Some(ticket) = self.tickets.remove(&number) else { return };
        let Some(lane) = self.lanes.get_mut(&ticket.partition) else { return };
        for offset in &ticket.offsets {
            if lane.open.remove(offset) {
                self.open -= 1;
            }
        }
        if let Some(id) = ticket.id {
            lane.ended(id);
        }
    }

    pub(super) fn commit<P: DispatchPorts>(&mut self, ports: &mut P) {
        if self.now_ms < self.commit_at_ms && !self.draining {
            return;
        }
        for (partition, lane) in &mut self.lanes {
            let next = lane.committable();
            #[cfg(test)]
            let next =
                if sabotage::on(Bug::PushCommitBeforeOutcomes) { lane.taken + 1 } else { next };
            if next > lane.committed {
                lane.committed = next;
                ports.commit(*partition, next);
                self.commit_at_ms = self.now_ms + COMMIT_EVERY_MS;
            }
        }
    }
}
