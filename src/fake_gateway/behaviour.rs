//! How the twin misbehaves when it is told to, for a time or for a share of the requests.
//!
//! Owns the words of `--behave` and `/control`. Never draws lots: a share is counted out evenly, so
//! that a test gets the same each time. Invariant: without a rule everything is answered as the
//! real gateway would.

use crate::{config::parse_duration, domain::push::Platform, runtime::telemetry};
use serde::Deserialize;
use std::{collections::BTreeMap, str::FromStr, time::Duration};

/// What is done instead of, or before, the right answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// The right answer.
    Right,
    /// The right answer, late.
    Slow(Duration),
    /// This status, in the platform's own words.
    Status { status: u16, retry_after_seconds: Option<u64> },
    /// Never an answer.
    Hang,
    /// The connection ends without an answer.
    Cut,
    /// The right status and a body without end.
    Huge,
}

impl FromStr for Act {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is none of ok, slow:10s, status:429, status:429:5 (Retry-After), hang, cut, huge"
            )
        };
        let (word, rest) = text.split_once(':').unwrap_or((text, ""));
        match (word, rest) {
            ("ok", "") => Ok(Act::Right),
            ("hang", "") => Ok(Act::Hang),
            ("cut", "") => Ok(Act::Cut),
            ("huge", "") => Ok(Act::Huge),
            ("slow", rest) => parse_duration(rest).map(Act::Slow).ok_or_else(wrong),
            ("status", rest) => {
                let (status, wait) =
                    rest.split_once(':').map_or((rest, None), |it| (it.0, Some(it.1)));
                let status = status.parse().ok().filter(|it| (200..600).contains(it));
                let seconds = wait.map(|wait| wait.parse().map_err(|_| wrong())).transpose()?;
                let status = status.ok_or_else(wrong)?;
                Ok(Act::Status { status, retry_after_seconds: seconds })
            }
            _ => Err(wrong()),
        }
    }
}

/// Whose requests: a platform's, those for access tokens, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    Platform(Platform),
    Token,
    All,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let platform = Platform::ALL.into_iter().find(|platform| platform.name() == text);
        match (platform, text) {
            (Some(platform), _) => Ok(Target::Platform(platform)),
            (None, "token") => Ok(Target::Token),
            (None, "all") => Ok(Target::All),
            (None, _) => {
                Err(format!("{text:?} is none of fcm, apns, web_push, webhook, token, all"))
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub act: Act,
    /// 1 to 100.
    pub share_percent: u64,
    /// By the steady clock; without: until another rule comes.
    pub until_ms: Option<u64>,
}

impl From<Act> for Rule {
    fn from(act: Act) -> Self {
        Rule { act, share_percent: 100, until_ms: None }
    }
}

/// `fcm=slow:10s`
pub fn parse_flag(text: &str) -> Result<(Target, Rule), String> {
    let (target, act) = text.split_once('=').ok_or("write it as fcm=slow:10s")?;
    Ok((target.parse()?, Rule::from(act.parse::<Act>()?)))
}

/// The body of `POST /control`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    target: String,
    act: String,
    for_ms: Option<u64>,
    share_percent: Option<u64>,
}

impl Control {
    pub fn rule(&self) -> Result<(Target, Rule), String> {
        let share_percent = self.share_percent.unwrap_or(100);
        if !(1..=100).contains(&share_percent) {
            return Err("share_percent is 1 to 100".to_owned());
        }
        let until_ms = self.for_ms.map(|for_ms| telemetry::steady_ms().saturating_add(for_ms));
        Ok((self.target.parse()?, Rule { act: self.act.parse()?, share_percent, until_ms }))
    }
}

#[derive(Default)]
pub struct Behaviours {
    /// Each with how many requests it has seen.
    rules: BTreeMap<Target, (Rule, u64)>,
}

impl Behaviours {
    /// A rule for all takes the place of every other.
    pub fn set(&mut self, target: Target, rule: Rule) {
        if target == Target::All {
            self.rules.clear();
        }
        self.rules.insert(target, (rule, 0));
    }

    /// What to do with the next request. The target's own rule goes before that for all.
    pub fn next(&mut self, target: Target, now_ms: u64) -> Act {
        self.rules.retain(|_, (rule, _)| rule.until_ms.is_none_or(|until_ms| now_ms < until_ms));
        let own = if self.rules.contains_key(&target) { target } else { Target::All };
        let Some((rule, seen)) = self.rules.get_mut(&own) else { return Act::Right };
        *seen += 1;
        let is_hit = *seen * rule.share_percent / 100 > (*seen - 1) * rule.share_percent / 100;
        if is_hit { rule.act.clone() } else { Act::Right }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: what is asked for is what happens. Method: words, then the act or its refusal.
    #[test]
    fn words_are_acts() {
        let status =
            |status, retry_after_seconds| Some(Act::Status { status, retry_after_seconds });
        for (text, then) in [
            ("ok", Some(Act::Right)),
            ("slow:10s", Some(Act::Slow(Duration::from_secs(10)))),
            ("status:429", status(429, None)),
            ("status:429:5", status(429, Some(5))),
            ("hang", Some(Act::Hang)),
            ("cut", Some(Act::Cut)),
            ("huge", Some(Act::Huge)),
            ("slow", None),
            ("status:42", None),
            ("status:429:soon", None),
            ("hang:1", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Act>().ok(), then, "{text}");
        }
        assert!(parse_flag("fcm=hang").is_ok() && parse_flag("all=ok").is_ok());
        assert!(parse_flag("gcm=hang").is_err() && parse_flag("fcm").is_err());
    }

    /// Goal: shares are even, times end, the nearer rule wins. Method: count hits of ten requests.
    #[test]
    fn rules_have_a_share_and_an_end() {
        let fcm = Target::Platform(Platform::Fcm);
        let rule = |share_percent, until_ms| Rule { act: Act::Hang, share_percent, until_ms };
        let hits = |behaviours: &mut Behaviours, target, now_ms| {
            (0..10).filter(|_| behaviours.next(target, now_ms) == Act::Hang).count()
        };
        let mut behaviours = Behaviours::default();
        assert_eq!(hits(&mut behaviours, fcm, 0), 0);
        behaviours.set(fcm, rule(30, Some(50)));
        assert_eq!(hits(&mut behaviours, fcm, 0), 3);
        assert_eq!(hits(&mut behaviours, Target::Token, 0), 0);
        assert_eq!(hits(&mut behaviours, fcm, 50), 0, "over");
        behaviours.set(Target::All, rule(100, None));
        assert_eq!(hits(&mut behaviours, Target::Token, 0), 10);
        behaviours.set(fcm, Rule::from(Act::Right));
        assert_eq!(hits(&mut behaviours, fcm, 0), 0);
    }
}
