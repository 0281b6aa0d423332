//! Which signals are asked for together.

use std::collections::{BTreeMap, HashMap};

use super::config::Limits;
use super::query::{Query, Template};

/// Most bytes of a grouped query. Prometheus takes megabytes; what stands before it may not.
pub(super) const GROUP_BYTES_MAX: usize = 16 << 10;

/// Names a signal inside of the collector's task.
pub(super) type Id = u64;

/// Signals that one query answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// In the order of their values, never empty.
    pub(super) members: Vec<Id>,
    /// The [`Template::shape`] by which several are asked for; without one it is a single query.
    pub(super) shape: Option<Box<str>>,
}

/// Groups queries whose templates have equal shapes; one that has several goes where most others are. The flag says of
/// a signal that it is to be asked for by itself.
pub(super) fn plan<'q>(
    queries: impl Iterator<Item = (Id, &'q Query, bool)> + Clone,
    limits: &Limits,
) -> Vec<Unit> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let together = || queries.clone().filter(|(_, _, alone)| !alone);
    for template in together().flat_map(|(_, query, _)| query.templates()) {
        *counts.entry(template.shape()).or_default() += 1;
    }
    // Ordered maps: the same signals give the same groups, whoever came first.
    let mut groups: BTreeMap<&str, Vec<(&Template, Id)>> = BTreeMap::new();
    let mut units = Vec::new();
    for (id, query, alone) in queries {
        match best(query, &counts).filter(|_| !alone) {
            Some(template) => groups
                .entry(template.shape())
                .or_default()
                .push((template, id)),
            None => units.push(Unit {
                members: vec![id],
                shape: None,
            }),
        }
    }
    for (shape, members) in groups {
        cut(shape, members, limits, &mut units);
    }
    units
}

/// The template of a query that most others share, if any does.
fn best<'q>(query: &'q Query, counts: &HashMap<&str, usize>) -> Option<&'q Template> {
    let shared = |template: &&Template| counts.get(template.shape()).copied().unwrap_or(0);
    query
        .templates()
        .iter()
        .filter(|template| shared(template) > 1)
        // Of equals the first in the text of the query.
        .min_by_key(|template| std::cmp::Reverse(shared(template)))
}

/// Cuts a group into units that stay below the limits.
fn cut(shape: &str, mut members: Vec<(&Template, Id)>, limits: &Limits, units: &mut Vec<Unit>) {
    members.sort_by(|(one, _), (other, _)| one.value().cmp(other.value()));
    let count_max = limits
        .series_per_answer_max
        .min(limits.samples_per_answer_max)
        .max(1);
    let mut unit = Vec::new();
    let mut bytes = 0;
    let mut close = |unit: &mut Vec<Id>| {
        let members = std::mem::take(unit);
        if !members.is_empty() {
            let shape = (members.len() > 1).then(|| shape.into());
            units.push(Unit { members, shape });
        }
    };
    for (template, id) in members {
        let more = template.value_bytes();
        if unit.len() == count_max || bytes + more > GROUP_BYTES_MAX {
            close(&mut unit);
            bytes = 0;
        }
        if unit.is_empty() {
            bytes = shape.len();
        }
        bytes += more;
        unit.push(id);
    }
    close(&mut unit);
}
