//! The recent decisions of a namespace.

use std::{collections::VecDeque, sync::Arc};

use foreshard_decide::{DecisionRecord, Explanation};

use crate::{
    ids::{Id, Ids},
    view::Recommendation,
};

/// A decision as it is kept: in short, why, and for a while the record that replays.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// Ascending in time.
    number: u64,
    pub(crate) summary: Arc<Recommendation>,
    pub(crate) explanation: Arc<Explanation>,
    pub(crate) record: Option<Arc<DecisionRecord>>,
}

/// How many decisions are kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Decisions that changed something.
    pub changed_max: usize,
    /// Decisions that changed nothing.
    pub unchanged_max: usize,
    /// The newest of each kind that are kept with their whole record, which holds weeks of history.
    pub records_max: usize,
}

/// Decisions in the order of their numbers; the oldest of each kind dropped, so that a quiet week does not push out what
/// was done before it.
#[derive(Debug)]
pub(crate) struct Decisions {
    changed: VecDeque<Kept>,
    unchanged: VecDeque<Kept>,
    retention: Retention,
    ids: Ids,
    next_number: u64,
}

/// Which decisions are asked for.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) target: Option<String>,
    /// Only decisions that change this part, or, without `changed`, that speak of it.
    pub(crate) part: Option<String>,
    pub(crate) changed: Option<bool>,
    /// Taken at this time or later.
    pub(crate) since: Option<f64>,
    /// With a number below this.
    pub(crate) before: Option<u64>,
}

impl Decisions {
    pub(crate) fn new(retention: Retention) -> Self {
        Self {
            changed: VecDeque::new(),
            unchanged: VecDeque::new(),
            retention,
            ids: Ids::new(),
            next_number: 1,
        }
    }

    /// Keeps a decision, gives it its id, and answers with it in short.
    pub(crate) fn push(
        &mut self,
        mut summary: Recommendation,
        record: Arc<DecisionRecord>,
    ) -> Arc<Recommendation> {
        let number = self.next_number;
        summary.id = self.ids.write(number);
        self.next_number += 1;
        let (kind, max) = if summary.changed {
            (&mut self.changed, self.retention.changed_max)
        } else {
            (&mut self.unchanged, self.retention.unchanged_max)
        };
        let summary = Arc::new(summary);
        kind.push_back(Kept {
            number,
            summary: Arc::clone(&summary),
            explanation: Arc::new(record.explanation.clone()),
            record: Some(record),
        });
        if kind.len() > self.retention.records_max {
            let last_without = kind.len() - self.retention.records_max - 1;
            kind[last_without].record = None;
        }
        if kind.len() > max {
            kind.pop_front();
        }
        summary
    }

    pub(crate) fn read_id(&self, id: &str) -> Id {
        self.ids.read(id)
    }

    pub(crate) fn get(&self, number: u64) -> Option<Kept> {
        [&self.changed, &self.unchanged]
            .into_iter()
            .find_map(|kind| {
                let at = kind.partition_point(|kept| kept.number < number);
                kind.get(at).filter(|kept| kept.number == number).cloned()
            })
    }

    /// The first that a ScalingRecommendation of this name stands for: later ones have the same plan once more.
    pub(crate) fn of_object(&self, name: &str) -> Option<Kept> {
        let of_object = |kept: &&Kept| {
            let object = kept.summary.object.as_ref();
            object.is_some_and(|object| object.name == name)
        };
        let all = self.changed.iter().chain(&self.unchanged);
        all.filter(of_object)
            .min_by_key(|kept| kept.number)
            .cloned()
    }

    /// The newest first, at most `limit`.
    pub(crate) fn list(&self, filter: &Filter, limit: usize) -> Vec<Arc<Recommendation>> {
        let mut changed = self.changed.iter().rev().peekable();
        let mut unchanged = self.unchanged.iter().rev().peekable();
        let newest_first = std::iter::from_fn(|| {
            let newer = match (changed.peek(), unchanged.peek()) {
                (Some(a), Some(b)) => a.number > b.number,
                (a, _) => a.is_some(),
            };
            if newer {
                changed.next()
            } else {
                unchanged.next()
            }
        });
        newest_first
            .filter(|kept| filter.takes(kept))
            .take(limit)
            .map(|kept| Arc::clone(&kept.summary))
            .collect()
    }
}

impl Filter {
    fn takes(&self, kept: &Kept) -> bool {
        let it = &kept.summary;
        let of_part = |part: &String| {
            let changes_count = self.changed == Some(true);
            it.parts
                .iter()
                .any(|step| step.part == *part && (!changes_count || step.from != step.to))
        };
        self.before.is_none_or(|before| kept.number < before)
            && self.since.is_none_or(|since| it.at >= since)
            && self.changed.is_none_or(|changed| it.changed == changed)
            && self
                .target
                .as_ref()
                .is_none_or(|target| it.target == *target)
            && self.part.as_ref().is_none_or(of_part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{tests::record, view::Step};

    fn decision(at: f64, from: u32, to: u32) -> Recommendation {
        Recommendation {
            id: String::new(),
            target: "shop".to_owned(),
            at,
            changed: from != to,
            policy: "p".to_owned(),
            reason: String::new(),
            parts: vec![Step {
                part: "gate".to_owned(),
                from,
                to,
                reason: String::new(),
            }],
            object: None,
        }
    }

    fn ids(list: &[Arc<Recommendation>]) -> Vec<u64> {
        let number = |id: &String| id.split_once('-').unwrap().1.parse().unwrap();
        list.iter().map(|it| number(&it.id)).collect()
    }

    #[test]
    fn each_kind_is_bounded_by_itself_and_pages_are_newest_first() {
        let mut kept = Decisions::new(Retention {
            changed_max: 2,
            unchanged_max: 3,
            records_max: 2,
        });
        for minute in 0..10 {
            let to = if minute < 3 { 3 } else { 2 };
            kept.push(
                decision(f64::from(minute) * 60.0, 2, to),
                Arc::new(record("shop", 0.0, 2, to)),
            );
        }
        let all = Filter::default();
        assert_eq!(ids(&kept.list(&all, 10)), [10, 9, 8, 3, 2]);
        assert_eq!(ids(&kept.list(&all, 2)), [10, 9]);
        assert_eq!(
            ids(&kept.list(
                &Filter {
                    before: Some(9),
                    ..Filter::default()
                },
                2
            )),
            [8, 3]
        );
        assert_eq!(
            ids(&kept.list(
                &Filter {
                    changed: Some(true),
                    ..Filter::default()
                },
                9
            )),
            [3, 2]
        );
        assert_eq!(
            ids(&kept.list(
                &Filter {
                    since: Some(480.0),
                    ..Filter::default()
                },
                9
            )),
            [10, 9]
        );
        let other = Filter {
            part: Some("other".to_owned()),
            ..Filter::default()
        };
        assert!(kept.list(&other, 9).is_empty());
        assert_eq!(
            kept.get(3).map(|it| it.summary.id.clone()),
            Some(kept.ids.write(3))
        );
        let has_record = |id| kept.get(id).map(|it| it.record.is_some());
        assert_eq!(
            [8, 9, 10].map(has_record),
            [Some(false), Some(true), Some(true)]
        );
        assert!(kept.get(1).is_none() && kept.get(4).is_none() && kept.get(11).is_none());
    }
}
