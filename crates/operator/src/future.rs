//! What people have said about the time to come: overrides, schedules, windows, events. Pure.

use foreshard_api::time::unix;
use foreshard_api::v1alpha1::{LoadEventSpec, Pause, ScalingOverrideSpec};
use foreshard_api::validated::ValidatedPolicy;
use foreshard_decide::Freeze;
use foreshard_decide::contract::LoadEvent;

/// What holds now for one target.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Known {
    /// Fewest replicas.
    pub(crate) min: u32,
    /// Most replicas.
    pub(crate) max: u32,
    /// Spans in which nothing is taken away, or nothing changed.
    pub(crate) freezes: Vec<Freeze>,
    /// Nothing is added, whatever floor there is.
    pub(crate) no_increase: bool,
    /// Nothing is taken away, whatever ceiling there is.
    pub(crate) no_decrease: bool,
    /// Events that are on or to come.
    pub(crate) events: Vec<LoadEvent>,
    /// All of it in words.
    pub(crate) notes: Vec<String>,
}

/// Seconds that a freeze is set for: until the next evaluation at the latest it is looked at again.
const AHEAD_SECONDS: i64 = 3600;
/// How far ahead an event is told of.
const EVENTS_SECONDS: i64 = 28 * 86_400;

/// What holds at `now` for `policy`, of which the others speak by `name`.
#[must_use]
pub(crate) fn known(
    policy: &ValidatedPolicy,
    name: &str,
    overrides: &[(String, ScalingOverrideSpec)],
    events: &[(String, LoadEventSpec)],
    now: i64,
) -> Known {
    let rules = &policy.replicas;
    let mut known = Known {
        min: rules.min,
        max: rules.max,
        ..Known::default()
    };
    for schedule in &policy.schedules {
        if schedule.window.holds(now) {
            known.min = known.min.max(schedule.min);
            known.notes.push(format!(
                "schedule {}: at least {} replicas",
                schedule.name, schedule.min
            ));
        }
    }
    if !rules.windows.is_empty() && !rules.windows.iter().any(|window| window.holds(now)) {
        known.freeze("no allowed window", now, false);
        known
            .notes
            .push("outside of the allowed windows nothing is taken away".to_owned());
    }
    for (id, given) in overrides {
        if given.policy_name == name && now < unix(&given.expiry_time) {
            known.obey(id, given, now);
        }
    }
    if known.min > known.max {
        known.notes.push(format!(
            "no more than {} replicas are allowed: what asks for {} gets so many",
            known.max, known.min
        ));
        known.min = known.max;
    }
    for (id, event) in events {
        if event.policy_names.is_empty() || event.policy_names.iter().any(|it| it == name) {
            known.expect(id, event, now);
        }
    }
    known
}

impl Known {
    /// Nothing is taken away while this is so.
    pub(crate) fn hold(&mut self, name: &str, why: &str, now: i64) {
        self.no_decrease = true;
        self.freeze(name, now, false);
        self.notes.push(format!("{why}: nothing is taken away"));
    }

    fn freeze(&mut self, name: &str, now: i64, increases: bool) {
        self.freezes.push(Freeze {
            name: name.to_owned(),
            start: now as f64,
            end: (now + AHEAD_SECONDS) as f64,
            increases,
        });
    }

    fn obey(&mut self, id: &str, given: &ScalingOverrideSpec, now: i64) {
        let count = |value: i32| u32::try_from(value).unwrap_or(1).max(1);
        let mut said = Vec::new();
        if let Some(ceiling) = given.max_replicas.map(count) {
            self.max = self.max.min(ceiling);
            said.push(format!("at most {ceiling} replicas"));
        }
        if let Some(floor) = given.min_replicas.map(count) {
            self.min = self.min.max(floor);
            said.push(format!("at least {floor} replicas"));
        }
        match given.pause {
            Pause::None => {}
            Pause::ScaleDown => {
                self.no_decrease = true;
                self.freeze(id, now, false);
                said.push("nothing is taken away".to_owned());
            }
            Pause::ScaleUp => {
                self.no_increase = true;
                said.push("nothing is added".to_owned());
            }
            Pause::Both => {
                (self.no_increase, self.no_decrease) = (true, true);
                self.freeze(id, now, true);
                said.push("nothing is changed".to_owned());
            }
        }
        let reason = if given.reason.is_empty() {
            String::new()
        } else {
            format!(" ({})", given.reason)
        };
        let until = given.expiry_time.0;
        self.notes.push(format!(
            "override {id} until {until}: {}{reason}",
            said.join(", ")
        ));
    }

    fn expect(&mut self, id: &str, event: &LoadEventSpec, now: i64) {
        let (start, end) = (unix(&event.start_time), unix(&event.end_time));
        if end <= now || start > now + EVENTS_SECONDS {
            return;
        }
        self.events.push(LoadEvent {
            name: id.to_owned(),
            start: start as f64,
            end: end as f64,
            factor: f64::from(event.factor_percent) / 100.0,
            parts: Vec::new(),
        });
        self.notes.push(format!(
            "event {id}: {} % of the load from {} to {}",
            event.factor_percent, event.start_time.0, event.end_time.0
        ));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_783_072_800; // 2026-07-03T10:00:00Z, a Friday

    fn policy(more: serde_json::Value) -> ValidatedPolicy {
        let mut spec = json!({
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "signals": [{"name": "demand", "query": "x", "sourceRef": {"name": "main"}, "targetAverageValue": "70"}],
            "actions": [{"type": "Replicas", "min": 2, "max": 20}],
        });
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        ValidatedPolicy::parse(&serde_json::from_value(spec).unwrap()).unwrap()
    }

    fn given(json: serde_json::Value) -> Vec<(String, ScalingOverrideSpec)> {
        vec![("o".to_owned(), serde_json::from_value(json).unwrap())]
    }

    #[test]
    fn an_override_stands_above_the_policy_until_it_ends() {
        let over = given(json!({
            "policyName": "web", "minReplicas": 8, "maxReplicas": 10, "pause": "ScaleUp",
            "expiryTime": "2026-07-03T11:00:00Z", "reason": "sale"
        }));
        let plain = policy(json!({}));
        let now = known(&plain, "web", &over, &[], NOW);
        assert_eq!((now.min, now.max, now.no_increase), (8, 10, true));
        assert_eq!(
            now.notes,
            [
                "override o until 2026-07-03T11:00:00Z: at most 10 replicas, at least 8 replicas, nothing is added (sale)"
            ]
        );
        for (name, at) in [("web", NOW + 3600), ("other", NOW)] {
            let now = known(&plain, name, &over, &[], at);
            assert_eq!((now.min, now.max, now.notes.len()), (2, 20, 0));
        }
        let ceiling = given(json!({
            "policyName": "web", "maxReplicas": 1, "expiryTime": "2026-07-03T11:00:00Z"
        }));
        let now = known(&plain, "web", &ceiling, &[], NOW);
        assert_eq!((now.min, now.max), (1, 1));
    }

    #[test]
    fn schedules_are_floors_and_outside_of_windows_nothing_shrinks() {
        let policy = policy(json!({
            "schedules": [{"name": "work", "minReplicas": 50, "window": {"days": ["Fri"], "start": "08:00", "end": "18:00"}}],
            "actions": [{"type": "Replicas", "min": 2, "max": 20, "windows": [{"start": "22:00", "end": "04:00"}]}],
        }));
        let day = known(&policy, "web", &[], &[], NOW);
        assert_eq!((day.min, day.max, day.freezes.len()), (20, 20, 1));
        assert!(!day.freezes[0].increases);
        let night = known(&policy, "web", &[], &[], NOW + 13 * 3600);
        assert_eq!((night.min, night.freezes.len()), (2, 0));
    }

    #[test]
    fn events_are_told_while_they_matter() {
        let event: LoadEventSpec = serde_json::from_value(json!({
            "startTime": "2026-07-03T12:00:00Z", "endTime": "2026-07-03T14:00:00Z", "factorPercent": 300
        }))
        .unwrap();
        let events = vec![("sale".to_owned(), event)];
        let plain = policy(json!({}));
        let now = known(&plain, "web", &[], &events, NOW);
        assert_eq!(
            (now.events[0].factor, now.events[0].start),
            (3.0, (NOW + 7200) as f64)
        );
        assert!(
            known(&plain, "web", &[], &events, NOW + 5 * 3600)
                .events
                .is_empty()
        );
    }
}
