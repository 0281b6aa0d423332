//! A decision as a `ScalingRecommendation`, and when one is worth recording. Pure.

use std::collections::VecDeque;

use foreshard_api::v1alpha1::{
    ActionType, Counterfactual, Explanation, Mode, PlanStep, ScalingRecommendationSpec, TargetRef,
};
use foreshard_api::{Quantity, sha256, time};
use foreshard_decide::{DecisionRecord, PartExplanation};

/// Most recommendations of one policy in an hour.
pub(crate) const PER_HOUR_MAX: usize = 6;
/// Of these, those that are kept for plans which wait for somebody's approval to add.
const KEPT_FOR_GROWTH: usize = 2;
/// Most recommendations that are kept of one policy.
pub(crate) const KEPT_MAX: usize = 20;
/// Seconds after which a recommendation that nobody approved is void.
pub(crate) const EXPIRY_SECONDS: i64 = 1800;
const HOUR_SECONDS: i64 = 3600;

/// What was recorded of one policy, so that not everything is recorded again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ration {
    /// When, oldest first.
    recorded: VecDeque<i64>,
    last: Option<Worth>,
    /// The name of the newest.
    named: Option<String>,
    seeded: bool,
}

/// What makes one decision different from another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Worth {
    to: u32,
    mode: Mode,
    /// None: not known, since somebody else recorded it.
    clamps: Option<Vec<&'static str>>,
}

impl Worth {
    fn is_same(&self, other: &Self) -> bool {
        let unknown = self.clamps.is_none() || other.clamps.is_none();
        (self.to, self.mode) == (other.to, other.mode) && (unknown || self.clamps == other.clamps)
    }
}

/// A recommendation that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// When it was issued, in Unix seconds.
    pub(crate) at: i64,
    /// The count that it asks for.
    pub(crate) to: Option<u32>,
    pub(crate) mode: Mode,
    pub(crate) name: String,
}

impl Ration {
    /// Whether what is there was counted.
    pub(crate) fn is_seeded(&self) -> bool {
        self.seeded
    }

    /// Somebody else records from now on: what is there is to be counted again.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Counts what is there at `now`: of before a restart, or of who led before.
    pub(crate) fn seed(&mut self, now: i64, known: impl Iterator<Item = Recorded>) {
        let mut known: Vec<Recorded> = known.filter(|it| it.at <= now).collect();
        known.sort_by_key(|it| it.at);
        self.seeded = true;
        let recent = known.iter().filter(|it| now - it.at < HOUR_SECONDS);
        self.recorded = recent.map(|it| it.at).collect();
        let Some(newest) = known.pop() else { return };
        self.named = Some(newest.name);
        let Some(to) = newest.to else { return };
        self.last = Some(Worth {
            to,
            mode: newest.mode,
            clamps: None,
        });
    }

    /// The name of the newest, now that it is there.
    pub(crate) fn named(&mut self, name: String) {
        self.named = Some(name);
    }

    /// The name of the newest recommendation.
    #[must_use]
    pub(crate) fn name(&self) -> Option<&str> {
        self.named.as_deref()
    }

    /// When the next one may be recorded at the earliest, in Unix seconds; none: at once.
    #[must_use]
    pub(crate) fn next(&self) -> Option<i64> {
        let first = self.recorded.front()?;
        (self.recorded.len() >= PER_HOUR_MAX).then_some(first + HOUR_SECONDS)
    }

    /// Whether this decision is to be recorded at `now`; it is taken to be, if so. A plan that changes nothing is worth
    /// nothing; the same plan is recorded again only once it has expired; six an hour is the most, and four where nothing
    /// waits for it.
    pub(crate) fn take(&mut self, now: i64, part: &PartExplanation, mode: Mode) -> bool {
        if part.wanted == part.before {
            self.last = None;
            return false;
        }
        while self
            .recorded
            .front()
            .is_some_and(|at| now - at >= HOUR_SECONDS)
        {
            self.recorded.pop_front();
        }
        let worth = Worth {
            to: part.wanted,
            mode,
            clamps: Some(part.clamps.iter().map(|clamp| clamp.guard.name()).collect()),
        };
        let fresh = self
            .recorded
            .back()
            .is_some_and(|at| now - at < EXPIRY_SECONDS);
        let same = self.last.as_ref().is_some_and(|last| last.is_same(&worth));
        let most = if mode == Mode::Approve && part.wanted > part.before {
            PER_HOUR_MAX
        } else {
            PER_HOUR_MAX - KEPT_FOR_GROWTH
        };
        if (fresh && same) || self.recorded.len() >= most {
            return false;
        }
        self.recorded.push_back(now);
        self.last = Some(worth);
        true
    }

    /// It could not be recorded: the next decision tries again.
    pub(crate) fn give_back(&mut self) {
        self.recorded.pop_back();
        self.last = None;
    }
}

/// The recommendation that says what `record` decided.
#[must_use]
pub(crate) fn spec(
    policy: &str,
    target: &TargetRef,
    mode: Mode,
    record: &DecisionRecord,
    part: &PartExplanation,
    notes: &[String],
) -> ScalingRecommendationSpec {
    let now = record.context.now as i64;
    let plan = plan(part);
    ScalingRecommendationSpec {
        policy_name: policy.to_owned(),
        digest: digest(target, &plan),
        target_ref: target.clone(),
        mode,
        issued_time: time::from_unix(now),
        expiry_time: time::from_unix(now + EXPIRY_SECONDS),
        plan,
        explanation: explanation(record, part, notes),
        counterfactual: Counterfactual {
            replicas: signed(part.without_forecast),
            summary: format!(
                "without the forecast, HPA's rule would ask for {} replicas",
                part.without_forecast
            ),
        },
        approval: None,
    }
}

/// What is to be done, in order.
#[must_use]
pub(crate) fn plan(part: &PartExplanation) -> Vec<PlanStep> {
    vec![PlanStep {
        kind: ActionType::Replicas,
        from: signed(part.before),
        to: signed(part.wanted),
        reason: short(&part.summary, 1024),
    }]
}

/// Digest of a target and a plan: what an approval names.
#[must_use]
pub(crate) fn digest(target: &TargetRef, plan: &[PlanStep]) -> String {
    // Only what is done counts, not how it is explained.
    let steps: Vec<_> = plan
        .iter()
        .map(|step| (step.kind, step.from, step.to))
        .collect();
    let text = serde_json::to_vec(&(target, steps)).unwrap_or_default();
    sha256(&text)
}

fn explanation(record: &DecisionRecord, part: &PartExplanation, notes: &[String]) -> Explanation {
    let lines = |all: &mut dyn Iterator<Item = String>| {
        all.take(16)
            .map(|line| short(&line, 512))
            .collect::<Vec<_>>()
    };
    let show = |value: f64| Quantity::show(value);
    let mut inputs = part.inputs.iter().map(|it| {
        let seen = it.seen.map_or("unknown".to_owned(), show);
        let quality = format!("{:?}", it.quality).to_lowercase();
        format!(
            "{}: {seen}, {quality}, {} s old, {} a replica",
            it.signal,
            show(it.age.round()),
            show(it.per_replica)
        )
    });
    let mut forecasts = part.forecasts.iter().map(|it| {
        let acted = if it.acted { "acted" } else { "did not act" };
        let mut line = format!(
            "{}: at most {} at level {} from {} s for {} s; {acted}; skill {}",
            it.signal,
            show(it.peak),
            show(it.level),
            show(it.lead),
            show(it.window),
            show(it.skill)
        );
        for reason in &it.reasons {
            line.push_str("; ");
            line.push_str(reason);
        }
        line
    });
    let mut verdicts = record.explanation.verdicts.iter().map(|it| {
        let asked = part.asks.iter().find(|ask| ask.policy == it.policy);
        match asked {
            Some(ask) => format!("{}: {} replicas: {}", it.policy, ask.count, ask.reason),
            None => format!("{}: no opinion: {}", it.policy, it.reason),
        }
    });
    let mut clamps = part.clamps.iter().map(|it| {
        format!(
            "{}: {} to {}: {}",
            it.guard.name(),
            it.from,
            it.to,
            it.reason
        )
    });
    let mut findings = record
        .explanation
        .findings
        .iter()
        .map(|it| it.message.clone());
    let mut notes = notes.iter().cloned();
    let mut clamped = lines(&mut clamps);
    clamped.extend(lines(&mut findings));
    clamped.truncate(16);
    Explanation {
        summary: short(&part.summary, 1024),
        inputs: lines(&mut inputs),
        forecasts: lines(&mut forecasts),
        verdicts: lines(&mut verdicts),
        clamps: clamped,
        known_future: lines(&mut notes),
    }
}

fn signed(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn short(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(chars - 1).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use foreshard_decide::Floors;

    use super::*;

    fn part(before: u32, wanted: u32) -> PartExplanation {
        PartExplanation {
            part: String::new(),
            action: "replicas".to_owned(),
            before,
            wanted,
            without_forecast: before,
            inputs: Vec::new(),
            forecasts: Vec::new(),
            floors: Floors {
                reactive: 1,
                live: 1,
                in_force: 1,
                rule: "live".to_owned(),
                reason: String::new(),
            },
            asks: Vec::new(),
            combined: wanted,
            clamps: Vec::new(),
            summary: String::new(),
        }
    }

    #[test]
    fn what_changes_nothing_or_was_said_is_not_recorded() {
        let mut ration = Ration::default();
        assert!(!ration.take(0, &part(3, 3), Mode::Observe));
        assert!(ration.take(0, &part(3, 5), Mode::Observe));
        assert!(!ration.take(60, &part(3, 5), Mode::Observe));
        assert!(ration.take(120, &part(3, 5), Mode::Approve));
        assert!(ration.take(EXPIRY_SECONDS + 120, &part(3, 5), Mode::Approve));
    }

    #[test]
    fn six_an_hour_are_the_most() {
        let mut ration = Ration::default();
        let mut taken = |from: i64, mode| {
            let minutes = from..from + 20;
            minutes
                .filter(|&minute| ration.take(minute * 60, &part(3, 4 + minute as u32), mode))
                .count()
        };
        assert_eq!(taken(0, Mode::Observe), 4);
        assert_eq!(taken(20, Mode::Approve), 2, "kept for those who wait");
        assert_eq!(taken(40, Mode::Approve), 0);
        assert!(ration.take(HOUR_SECONDS, &part(3, 99), Mode::Approve));
    }

    #[test]
    fn what_was_recorded_before_a_restart_counts() {
        let known = |at, to| Recorded {
            at,
            to: Some(to),
            mode: Mode::Approve,
            name: format!("web-{at}"),
        };
        let now = 10 * HOUR_SECONDS;
        let mut ration = Ration::default();
        assert!(!ration.is_seeded());
        let all = [
            known(now - 60, 5),
            known(now - 900, 4),
            known(now - 7200, 9),
        ];
        ration.seed(now, all.into_iter());
        assert!(ration.is_seeded());
        assert_eq!(ration.name(), Some("web-35940"));
        assert!(!ration.take(now, &part(3, 5), Mode::Approve), "it was said");
        assert!(ration.take(now, &part(3, 6), Mode::Approve));
        ration.seed(now, (0..6).map(|i| known(now - 600 + i, 4)));
        assert!(!ration.take(now, &part(3, 7), Mode::Approve));
        assert_eq!(ration.next(), Some(now - 600 + HOUR_SECONDS));
        ration.forget();
        assert!(!ration.is_seeded());
    }

    #[test]
    fn the_digest_is_of_what_is_done() {
        let target = TargetRef {
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            name: "web".to_owned(),
        };
        let step = |to, reason: &str| PlanStep {
            kind: ActionType::Replicas,
            from: 3,
            to,
            reason: reason.to_owned(),
        };
        let digest = |step| super::digest(&target, &[step]);
        assert_eq!(digest(step(5, "a")), digest(step(5, "b")));
        assert_ne!(digest(step(5, "a")), digest(step(6, "a")));
        assert_eq!(digest(step(5, "a")).len(), 71);
    }
}
