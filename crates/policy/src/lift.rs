//! A guest's answers as plain values; nothing is judged here, `check` does that.

use foreshard_decide::contract as c;

use crate::bindings::{exports::foreshard::policy::scaling as s, foreshard::policy::types as w};

pub(crate) fn verdict(one: w::Verdict) -> c::Verdict {
    match one {
        w::Verdict::Abstain(reason) => c::Verdict::Abstain(reason),
        w::Verdict::Decide(decision) => c::Verdict::Decide(c::Decide {
            proposals: each(decision.proposals, proposal),
            reason: decision.reason,
            measures: each(decision.measures, |measure| c::Measure {
                name: measure.name,
                value: measure.value,
            }),
            memory: decision.memory,
        }),
    }
}

fn each<A, B>(all: Vec<A>, lift: impl Fn(A) -> B) -> Vec<B> {
    all.into_iter().map(lift).collect()
}

fn proposal(one: w::Proposal) -> c::Proposal {
    c::Proposal {
        part: one.part,
        action: action(one.action),
        not_before: one.not_before,
        reason: one.reason,
    }
}

fn amounts(all: Vec<w::AmountResult>) -> Vec<c::Amount> {
    each(all, |amount| c::Amount {
        resource: amount.resource,
        value: amount.value,
    })
}

fn action(one: w::ActionResult) -> c::Action {
    match one {
        w::ActionResult::Replicas(count) => c::Action::Replicas(count),
        w::ActionResult::Resources(sizes) => {
            c::Action::Resources(each(sizes, |size| c::ContainerSize {
                name: size.name,
                requests: amounts(size.requests),
                limits: amounts(size.limits),
            }))
        }
        w::ActionResult::Storage(size) => c::Action::Storage(c::VolumeSize {
            name: size.name,
            bytes: size.bytes,
        }),
        w::ActionResult::ShardCount(count) => c::Action::ShardCount(count),
        w::ActionResult::Split(points) => c::Action::Split(points),
        w::ActionResult::Merge(parts) => c::Action::Merge(parts),
        w::ActionResult::Custom(custom) => c::Action::Custom(c::CustomAction {
            kind: custom.kind,
            body: custom.body,
        }),
    }
}

pub(crate) fn descriptor(one: s::Descriptor) -> c::Descriptor {
    c::Descriptor {
        name: one.name,
        version: one.version,
        summary: one.summary,
        target_kinds: one.target_kinds,
        actions: one.actions,
        config_schema: one.config_schema,
        memory_version: one.memory_version,
    }
}

pub(crate) fn issues(all: Vec<w::ConfigIssue>) -> Vec<c::ConfigIssue> {
    each(all, |issue| c::ConfigIssue {
        path: issue.path,
        message: issue.message,
    })
}

pub(crate) fn needs(one: s::Needs) -> c::Needs {
    c::Needs {
        signals: each(one.signals, |need| c::SignalNeed {
            name: need.name,
            unit: need.unit,
            summary: need.summary,
            step: need.step,
            lookback: need.lookback,
            per_part: need.per_part,
            required: need.required,
            example_promql: need.example_promql,
        }),
        forecasts: each(one.forecasts, |need| c::ForecastNeed {
            signal: need.signal,
            horizon: need.horizon,
            levels: need.levels,
            peaks: each(need.peaks, |peak| c::PeakNeed {
                action: peak.action,
                lead: peak.lead,
                window: peak.window,
            }),
        }),
        part_kinds: one.part_kinds,
        recent_changes: one.recent_changes,
    }
}
