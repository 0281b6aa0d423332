//! Which signals a job is for, and what it asks.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::driver::Driver;
use super::entry::{Entry, Grain};
use super::job::{Job, Task};
use super::pace::Pace;
use super::plan::{self, Id};
use super::query::Template;
use super::signal::RECENT_STEP_SECONDS;
use super::transport::When;

/// When to look again at signals that another query is under way for.
const BUSY_RETRY: Duration = Duration::from_millis(250);

/// Bins before the newest known one that a refresh asks for again: samples can come late.
const BINS_AGAIN: i64 = 2;

/// Most points of one range query; Prometheus itself refuses more than 11,000.
const POINTS_MAX: i64 = 10_000;

/// Fewest points that a backfill that is too slow or too large is cut down to.
pub(super) const POINTS_MIN: i64 = 60;

/// Most series that a query for one signal may give to be told from one that gives too many.
const SINGLE_SERIES_MAX: usize = 2;

impl Driver {
    /// Takes in what came, lets go what went, and forms groups.
    pub(super) fn replan(&mut self, now: Instant) {
        let wanted: HashMap<Id, _> = self
            .registry
            .signals()
            .into_iter()
            .map(|signal| (signal.id, signal))
            .collect();
        self.entries.retain(|id, _| wanted.contains_key(id));
        let unix = self.clock.unix();
        for (id, signal) in wanted {
            if self.entries.contains_key(&id) {
                continue;
            }
            if let Some((_, fault)) = self.health.down() {
                signal.failed(fault, unix);
            }
            self.came(now);
            self.entries.insert(id, Entry::new(signal, now));
        }
        let queries = self
            .entries
            .iter()
            .map(|(id, entry)| (*id, &entry.signal.query, entry.alone(now)));
        self.units = plan::plan(queries, &self.limits);
        self.plan += 1;
        let queries_max = self.limits.queries_per_minute_max;
        self.pace = Pace::new(self.units.len(), self.poll_every, queries_max);
        self.counters
            .paced(self.units.len(), self.pace.poll, self.pace.refresh);
        for queue in [&mut self.live, &mut self.refresh, &mut self.backfill] {
            queue.clear(self.units.len());
        }
        for unit in 0..self.units.len() {
            self.enqueue_live(unit);
            self.enqueue_bins(unit);
        }
    }

    fn members(&self, unit: usize) -> impl Iterator<Item = (Id, &Entry)> {
        let members = self.units.get(unit).map_or(&[][..], |unit| &unit.members);
        members
            .iter()
            .filter_map(|id| Some((*id, self.entries.get(id)?)))
    }

    pub(super) fn enqueue_live(&mut self, unit: usize) {
        if let Some(due) = self.members(unit).map(|(_, entry)| entry.live_due).min() {
            self.live.push(due, unit);
        }
    }

    /// Both kinds of bins.
    pub(super) fn enqueue_bins(&mut self, unit: usize) {
        let known = self
            .members(unit)
            .filter(|(_, entry)| entry.asked_to.is_some());
        let refresh = known.map(|(_, entry)| entry.refresh_due).min();
        let missing = self
            .members(unit)
            .filter(|(_, entry)| entry.missing().is_some());
        let backfill = missing.map(|(_, entry)| entry.backfill_due).min();
        if let Some(due) = refresh {
            self.refresh.push(due, unit);
        }
        if let Some(due) = backfill {
            self.backfill.push(due, unit);
        }
    }

    /// A query for the newest samples of the unit that is due.
    pub(super) fn live_job(&mut self, now: Instant) -> Option<(Job, When)> {
        let unit = self.live.pop_due(now)?;
        let members: Vec<Id> = self.members(unit).map(|(id, _)| id).collect();
        if self.members(unit).any(|(_, entry)| entry.live_busy) {
            self.live.push(now + BUSY_RETRY, unit);
            return None;
        }
        for id in &members {
            if let Some(entry) = self.entries.get_mut(id) {
                entry.live_busy = true;
            }
        }
        Some((self.job(Task::Live, unit, members, now), When::Now))
    }

    /// A query for the new bins of the unit that is due.
    pub(super) fn refresh_job(&mut self, now: Instant) -> Option<(Job, When)> {
        let unit = self.refresh.pop_due(now)?;
        if self.members(unit).any(|(_, entry)| entry.bins_busy) {
            self.refresh.push(now + BUSY_RETRY, unit);
            return None;
        }
        let newest = self.newest_bin();
        let known: Vec<Id> = self
            .members(unit)
            .filter(|(_, entry)| entry.asked_to.is_some_and(|asked_to| asked_to < newest))
            .map(|(id, _)| id)
            .collect();
        let mut oldest = newest;
        for id in &known {
            if let Some(entry) = self.entries.get_mut(id) {
                entry.catch_up(newest);
                oldest = oldest.min(entry.asked_to.unwrap_or(newest));
            }
        }
        if oldest == newest {
            // Nothing new yet; what was too old is backfilled.
            let due = now + self.pace.refresh;
            self.each(unit, |entry| entry.refresh_due = entry.refresh_due.max(due));
            self.enqueue_bins(unit);
            return None;
        }
        let step = RECENT_STEP_SECONDS;
        let from = oldest - (BINS_AGAIN - 1) * step;
        let to = newest.min(from + (self.points_max(known.len()) - 1) * step);
        let when = When::Range { from, to, step };
        self.mark_bins(&known);
        Some((self.job(Task::Refresh { to }, unit, known, now), when))
    }

    /// A query for the newest of the missing bins of the unit that is due.
    pub(super) fn backfill_job(&mut self, now: Instant) -> Option<(Job, When)> {
        let unit = self.backfill.pop_due(now)?;
        if self.members(unit).any(|(_, entry)| entry.bins_busy) {
            self.backfill.push(now + BUSY_RETRY, unit);
            return None;
        }
        let missing = |grain: Grain| {
            let all = self
                .members(unit)
                .filter(|(_, entry)| entry.backfill_due <= now);
            all.filter_map(|(id, entry)| Some((id, entry.missing()?, entry.halvings)))
                .filter(|(_, (missing, _), _)| *missing == grain)
                .map(|(id, (_, span), halvings)| (id, span, halvings))
                .collect::<Vec<_>>()
        };
        // Recent bins first, and of these those that reach furthest.
        let (grain, behind) = [Grain::Recent, Grain::History]
            .into_iter()
            .map(|grain| (grain, missing(grain)))
            .find(|(_, behind)| !behind.is_empty())?;
        let cursor = behind.iter().map(|(_, span, _)| span.cursor).max()?;
        let (batch, others): (Vec<_>, Vec<_>) = behind
            .into_iter()
            .partition(|(_, span, _)| span.cursor == cursor);
        let floor = batch.iter().map(|(_, span, _)| span.floor).max()?;
        let halvings = batch.iter().map(|(_, _, halvings)| *halvings).max()?;
        // Where the next ones begin: from there on they go together.
        let next = others.iter().map(|(_, span, _)| span.cursor).max();
        let points = (self.points_max(batch.len()) >> halvings.min(16)).max(POINTS_MIN);
        let step = grain.step();
        let from = floor.max(next.unwrap_or(floor)).max(cursor - points * step);
        let points = (cursor - from) / step;
        let members: Vec<Id> = batch.into_iter().map(|(id, _, _)| id).collect();
        self.mark_bins(&members);
        let when = When::Range {
            from: from + step,
            to: cursor,
            step,
        };
        let task = Task::Backfill {
            grain,
            from,
            points,
        };
        Some((self.job(task, unit, members, now), when))
    }

    fn mark_bins(&mut self, members: &[Id]) {
        for id in members {
            if let Some(entry) = self.entries.get_mut(id) {
                entry.bins_busy = true;
            }
        }
    }

    /// Does something to every member of a unit.
    fn each(&mut self, unit: usize, mut change: impl FnMut(&mut Entry)) {
        let members = self.units.get(unit).map_or(&[][..], |unit| &unit.members);
        for id in members {
            if let Some(entry) = self.entries.get_mut(id) {
                change(entry);
            }
        }
    }

    fn points_max(&self, signals: usize) -> i64 {
        let points = self.limits.samples_per_answer_max / signals.max(1);
        (points as i64).clamp(1, POINTS_MAX)
    }

    fn job(&self, task: Task, unit: usize, members: Vec<Id>, now: Instant) -> Job {
        let shape = self.units.get(unit).and_then(|unit| unit.shape.as_deref());
        let shape = shape.filter(|_| members.len() > 1);
        let shared = shape.and_then(|shape| {
            let template = self.template(*members.first()?, shape)?;
            Some((shape.into(), template.label().into()))
        });
        Job {
            task,
            unit,
            plan: self.plan,
            members,
            shared,
            sent: now,
        }
    }

    /// The template of a signal that has this shape.
    pub(super) fn template(&self, id: Id, shape: &str) -> Option<&Template> {
        let templates = self.entries.get(&id)?.signal.query.templates();
        templates.iter().find(|template| template.shape() == shape)
    }

    /// The text of a job's query, and how many series it may give.
    pub(super) fn question(&self, job: &Job) -> (String, usize) {
        let first = job.members.first().and_then(|id| self.entries.get(id));
        let text = first.map_or("", |entry| entry.signal.query.text());
        let Some((shape, _)) = &job.shared else {
            return (text.to_owned(), SINGLE_SERIES_MAX);
        };
        let values = job
            .members
            .iter()
            .filter_map(|id| Some(self.template(*id, shape)?.value()));
        let template = job.members.first().and_then(|id| self.template(*id, shape));
        let text = template.map_or_else(String::new, |template| template.fill(values));
        (text, job.members.len())
    }
}
