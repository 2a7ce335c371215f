//! Workers and servers die under load; afterwards nothing is missing, doubled or wrong.
//!
//! Owns the faults: drawn by a seed, at processes that were started here. Judges are the tally of
//! what was sent and the independent auditor, which shares no rule with the pipeline.

use super::{
    ground::{Ground, Site, until},
    load::{Load, audit},
    watch,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::{Duration, Instant};
use tapline::load::workers::Worker;
use tapline::stack::Server;

/// Silence after which the group gives a worker's partitions away.
const SESSION: [(&str, &str); 1] = [("kafka.session_timeout", "6s")];

/// Goal: a stop by SIGTERM is short, clean and loses nothing. Method: under load one of two workers
/// is told to stop; it must end by itself within 10 s with 0; the other goes on; tally and auditor.
pub fn sigterm(ground: &Ground) {
    let site = ground.site("sigterm");
    let mut workers = vec![site.worker(1, &[]), site.worker(2, &[])];
    watch::await_ready(&site, &mut workers, 60);
    let seconds = ground.size.pick(6.0, 10.0, 60.0);
    let load = Load::start(&site, ground.seed, 1_000.0, seconds);
    let mut leaver = workers.remove(0);
    let begun = Instant::now();
    let status = leaver.stop(Duration::from_secs(10));
    let took = begun.elapsed().as_secs_f64();
    assert!(!load.is_finished(), "the load was over before the stop");
    assert_eq!(
        status.and_then(|status| status.code()),
        Some(0),
        "the stopped worker after {took:.1} s:\n{}",
        leaver.last_lines(8)
    );
    assert!(watch::log_says(&leaver, "leaving the group"), "{}", leaver.last_lines(8));
    watch::await_ready(&site, &mut workers, 30);
    let journal = load.journal.clone();
    let run = load.judge();
    watch::await_durable(&site, &mut workers, 30);
    let committed = watch::committed(&site);
    assert_eq!(committed.len(), site.partitions() as usize, "{committed:?}");
    println!(
        "  stopped in {took:.1} s; {} commands, {} answers, {} published twice",
        run.commands, run.answered, run.repeats
    );
    audit(&site, Some(&journal), run.commands, &[]);
}

/// Workers, and what happened to them.
struct Crew<'a> {
    site: &'a Site,
    workers: Vec<Worker>,
    started: usize,
    kills: usize,
    /// Ended by themselves, as they may when a server dies; a pod would be started again.
    ended: usize,
    frozen: Option<(usize, Instant)>,
    was_frozen: bool,
}

impl Crew<'_> {
    fn start(&mut self, place: usize) {
        self.started += 1;
        let worker = self.site.worker(self.started, &SESSION);
        match self.workers.get_mut(place) {
            Some(former) => *former = worker,
            None => self.workers.push(worker),
        }
    }

    fn kill(&mut self, place: usize) {
        if self.frozen.is_some_and(|(frozen, _)| frozen == place) {
            return;
        }
        self.workers[place].kill();
        self.kills += 1;
        self.start(place);
    }

    fn freeze(&mut self, place: usize) {
        self.workers[place].signal("STOP");
        self.frozen = Some((place, Instant::now()));
        self.was_frozen = true;
    }

    /// Wakes who slept past the session's time-out; starts again who ended by itself.
    fn tend(&mut self) {
        if let Some((place, since)) = self.frozen
            && since.elapsed() > Duration::from_secs(8)
        {
            self.workers[place].signal("CONT");
            self.frozen = None;
        }
        for place in 0..self.workers.len() {
            if !self.workers[place].is_running() {
                self.ended += 1;
                self.start(place);
            }
        }
    }

    /// Lets time go by, tending.
    fn wait(&mut self, span: Duration) {
        let until = Instant::now() + span;
        while Instant::now() < until {
            self.tend();
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

/// Goal: no death of a worker or a server loses, doubles or changes anything. Method: three workers
/// under 1,000 commands a second; kill -9 at random moments, one worker frozen past the session's
/// time-out, Kafka and Cassandra killed once each; then heal, drain, tally, auditor, and a fresh
/// load must pass.
pub fn kill(ground: &Ground) {
    let site = ground.site("kill");
    let mut rng = ChaCha8Rng::seed_from_u64(ground.seed);
    let mut crew = Crew {
        site: &site,
        workers: Vec::new(),
        started: 0,
        kills: 0,
        ended: 0,
        frozen: None,
        was_frozen: false,
    };
    (0..3).for_each(|place| crew.start(place));
    watch::await_ready(&site, &mut crew.workers, 60);
    let wanted = ground.size.pick(5, 12, 300);
    let seconds = ground.size.pick(15.0, 35.0, 700.0);
    let load = Load::start(&site, ground.seed, 1_000.0, seconds);
    let mut servers = 0;
    let mut under_load = 0;
    while crew.kills < wanted {
        crew.wait(Duration::from_millis(rng.random_range(1_000..2_000)));
        under_load += usize::from(!load.is_finished());
        let place = rng.random_range(0..3);
        crew.kill(place);
        // Kafka late: until it is back nothing flows, and a kill then shows little.
        if crew.kills > wanted / 4 && servers == 0 && ground.owns_servers() {
            ground.kill_and_restart(Server::Cassandra);
            servers += 1;
        } else if crew.kills >= wanted * 3 / 4 && servers == 1 && ground.owns_servers() {
            ground.kill_and_restart(Server::Kafka);
            servers += 1;
        } else if crew.kills > wanted / 2 && !crew.was_frozen {
            crew.freeze((place + 1) % 3);
        }
    }
    until("the sleeper wakes", 20, || {
        crew.tend();
        if crew.frozen.is_none() { Ok(()) } else { Err("still asleep".to_owned()) }
    });
    until("the load ends and is answered", 180, || {
        crew.tend();
        if load.is_finished() { Ok(()) } else { Err("not finished".to_owned()) }
    });
    let journal = load.journal.clone();
    let run = load.judge();
    watch::await_ready(&site, &mut crew.workers, 60);
    watch::await_durable(&site, &mut crew.workers, 60);
    println!(
        "  {} commands, {} answers, {} published twice; {} workers killed ({under_load} under \
         load), {} ended by themselves, 1 frozen, {servers} servers killed",
        run.commands, run.answered, run.repeats, crew.kills, crew.ended
    );
    assert!(crew.was_frozen, "nobody was frozen");
    assert!(crew.kills >= wanted && under_load >= wanted * 2 / 3, "too few kills under load");
    audit(&site, Some(&journal), run.commands, &[]);
    let fresh = Load::start(&site, ground.seed + 1, 200.0, 4.0).judge();
    assert!(fresh.answered >= fresh.commands, "a fresh load passes");
}
