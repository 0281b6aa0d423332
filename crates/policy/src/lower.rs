//! The context as wasmtime hands it to a guest: records that borrow every string and number list, kept in an arena.

use bumpalo::Bump;
use foreshard_decide::contract as c;

use crate::bindings::foreshard::policy::types as w;

/// `context` as the argument of `evaluate`.
pub(crate) fn context<'a>(arena: &'a Bump, context: &'a c::Context) -> w::Context<'a> {
    w::Context {
        now: context.now,
        next: context.next,
        config: &context.config,
        kind: &context.kind,
        namespace: &context.namespace,
        name: &context.name,
        labels: labels(arena, &context.labels),
        objective: objective(&context.objective),
        parts: each(arena, &context.parts, |one| part(arena, one)),
        signals: each(arena, &context.signals, signal),
        forecasts: each(arena, &context.forecasts, |one| forecast(arena, one)),
        calendar: calendar(arena, &context.calendar),
        recent: each(arena, &context.recent, |change| w::PastChange {
            at: change.at,
            part: &change.part,
            action: action(arena, &change.action),
            outcome: &change.outcome,
        }),
        memory: &context.memory,
        extras: each(arena, &context.extras, |extra| w::Extra {
            key: &extra.key,
            json: &extra.json,
        }),
    }
}

fn each<'a, A, B>(arena: &'a Bump, all: &'a [A], lower: impl Fn(&'a A) -> B) -> &'a [B] {
    arena.alloc_slice_fill_iter(all.iter().map(lower))
}

fn texts<'a>(arena: &'a Bump, all: &'a [String]) -> &'a [&'a str] {
    each(arena, all, String::as_str)
}

fn labels<'a>(arena: &'a Bump, all: &'a [c::Label]) -> &'a [w::Label<'a>] {
    each(arena, all, |label| w::Label {
        name: &label.name,
        value: &label.value,
    })
}

fn objective(one: &c::Objective) -> w::Objective<'_> {
    w::Objective {
        violation_budget: one.violation_budget,
        budget_window: one.budget_window,
        budget_spent: one.budget_spent,
        target_utilization: one.target_utilization,
        max_utilization: one.max_utilization,
        level: one.level,
        currency: &one.currency,
        cost_per_violation_minute: one.cost_per_violation_minute,
    }
}

fn series(one: &c::Series) -> w::Series<'_> {
    w::Series {
        start: one.start,
        step: one.step,
        values: &one.values,
    }
}

fn quality(one: c::Quality) -> w::Quality {
    match one {
        c::Quality::Ok => w::Quality::Ok,
        c::Quality::Missing => w::Quality::Missing,
        c::Quality::Stale => w::Quality::Stale,
        c::Quality::Frozen => w::Quality::Frozen,
        c::Quality::Implausible => w::Quality::Implausible,
    }
}

fn signal(one: &c::Signal) -> w::Signal<'_> {
    w::Signal {
        name: &one.name,
        part: &one.part,
        unit: &one.unit,
        quality: quality(one.quality),
        age: one.age,
        coverage: one.coverage,
        history: series(&one.history),
        latest: one.latest.as_ref().map(|sample| w::Sample {
            at: sample.at,
            value: sample.value,
        }),
        censored: one.censored,
    }
}

fn forecast<'a>(arena: &'a Bump, one: &'a c::Forecast) -> w::Forecast<'a> {
    w::Forecast {
        signal: &one.signal,
        part: &one.part,
        model: &one.model,
        issued_at: one.issued_at,
        reliable: one.reliable,
        reasons: texts(arena, &one.reasons),
        skill: one.skill,
        levels: &one.levels,
        calibrated_to: one.calibrated_to,
        start: one.start,
        step: one.step,
        paths: each(arena, &one.paths, Vec::as_slice),
        peaks: each(arena, &one.peaks, |peak| w::Peak {
            action: &peak.action,
            lead: peak.lead,
            window: peak.window,
            values: &peak.values,
        }),
    }
}

fn offer(one: &c::Offer) -> w::Offer<'_> {
    w::Offer {
        action: &one.action,
        lead: w::LeadTime {
            p50: one.lead.p50,
            p90: one.lead.p90,
            p99: one.lead.p99,
            observations: one.lead.observations,
        },
        cost_per_change: one.cost_per_change,
        reversible: one.reversible,
        blocked_until: one.blocked_until,
        blocked_by: &one.blocked_by,
    }
}

fn replicas<'a>(arena: &'a Bump, one: &'a c::ReplicaState) -> w::ReplicaState<'a> {
    w::ReplicaState {
        wanted: one.wanted,
        ready: one.ready,
        pending: each(arena, &one.pending, |pending| w::Pending {
            replicas: pending.replicas,
            expected_at: pending.expected_at,
        }),
        min: one.min,
        max: one.max,
        floor: one.floor,
        capacities: each(arena, &one.capacities, |capacity| w::Capacity {
            signal: &capacity.signal,
            per_replica: capacity.per_replica,
            uncertainty: capacity.uncertainty,
            source: &capacity.source,
        }),
        cost_per_hour: one.cost_per_hour,
    }
}

fn amounts<'a>(arena: &'a Bump, all: &'a [c::Amount]) -> &'a [w::AmountParam<'a>] {
    each(arena, all, |amount| w::AmountParam {
        resource: &amount.resource,
        value: amount.value,
    })
}

fn shard(one: &c::ShardState) -> w::ShardState<'_> {
    w::ShardState {
        key_range: w::KeyRange {
            start: &one.key_range.start,
            end: &one.key_range.end,
        },
        serving: one.serving,
        data_bytes: one.data_bytes,
        load_by_slice: &one.load_by_slice,
        workflow: &one.workflow,
    }
}

fn part<'a>(arena: &'a Bump, one: &'a c::Part) -> w::Part<'a> {
    w::Part {
        id: &one.id,
        parent: &one.parent,
        kind: &one.kind,
        labels: labels(arena, &one.labels),
        busy: one.busy,
        last_change: one.last_change,
        offers: each(arena, &one.offers, offer),
        replicas: one.replicas.as_ref().map(|state| replicas(arena, state)),
        containers: each(arena, &one.containers, |container| w::ContainerState {
            name: &container.name,
            requests: amounts(arena, &container.requests),
            limits: amounts(arena, &container.limits),
            min: amounts(arena, &container.min),
            max: amounts(arena, &container.max),
        }),
        volumes: each(arena, &one.volumes, |volume| w::VolumeState {
            name: &volume.name,
            capacity_bytes: volume.capacity_bytes,
            used_bytes: volume.used_bytes,
            max_bytes: volume.max_bytes,
        }),
        shard: one.shard.as_ref().map(shard),
    }
}

fn calendar<'a>(arena: &'a Bump, one: &'a c::Calendar) -> w::Calendar<'a> {
    w::Calendar {
        zone: &one.zone,
        offsets: each(arena, &one.offsets, |offset| w::UtcOffset {
            since: offset.since,
            seconds: offset.seconds,
        }),
        holidays: &one.holidays,
        events: each(arena, &one.events, |event| w::LoadEvent {
            name: &event.name,
            start: event.start,
            end: event.end,
            factor: event.factor,
            parts: texts(arena, &event.parts),
        }),
    }
}

fn action<'a>(arena: &'a Bump, one: &'a c::Action) -> w::ActionParam<'a> {
    match one {
        c::Action::Replicas(count) => w::ActionParam::Replicas(*count),
        c::Action::Resources(sizes) => {
            w::ActionParam::Resources(each(arena, sizes, |size| w::ContainerSizeParam {
                name: &size.name,
                requests: amounts(arena, &size.requests),
                limits: amounts(arena, &size.limits),
            }))
        }
        c::Action::Storage(size) => w::ActionParam::Storage(w::VolumeSizeParam {
            name: &size.name,
            bytes: size.bytes,
        }),
        c::Action::ShardCount(count) => w::ActionParam::ShardCount(*count),
        c::Action::Split(points) => w::ActionParam::Split(each(arena, points, Vec::as_slice)),
        c::Action::Merge(parts) => w::ActionParam::Merge(texts(arena, parts)),
        c::Action::Custom(custom) => w::ActionParam::Custom(w::CustomActionParam {
            kind: &custom.kind,
            body: &custom.body,
        }),
    }
}
