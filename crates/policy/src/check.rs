//! Whether an answer makes sense: nothing that a guest says is trusted.

use foreshard_decide::contract::{
    Action, Amount, ConfigIssue, Context, Decide, Descriptor, Needs, Proposal, Verdict,
};

use crate::{
    failure::{Failure, FailureKind},
    limits::AnswerLimits,
};

type Checked = Result<(), Failure>;

/// Checks a verdict against the limits, the context that it answers, and what the policy declared.
pub(crate) fn verdict(
    limits: &AnswerLimits,
    descriptor: &Descriptor,
    context: &Context,
    verdict: &Verdict,
) -> Checked {
    match verdict {
        Verdict::Abstain(reason) => {
            at_most("the reason's length", reason.len(), limits.sentence_bytes)
        }
        Verdict::Decide(decision) => decide(limits, descriptor, context, decision),
    }
}

fn decide(
    limits: &AnswerLimits,
    descriptor: &Descriptor,
    context: &Context,
    decision: &Decide,
) -> Checked {
    at_most(
        "the number of proposals",
        decision.proposals.len(),
        limits.proposals,
    )?;
    at_most(
        "the number of measures",
        decision.measures.len(),
        limits.measures,
    )?;
    at_most(
        "the reason's length",
        decision.reason.len(),
        limits.sentence_bytes,
    )?;
    at_most(
        "the memory's size",
        decision.memory.as_ref().map_or(0, Vec::len),
        limits.memory_bytes,
    )?;
    for measure in &decision.measures {
        at_most(
            "the length of a measure's name",
            measure.name.len(),
            limits.name_bytes,
        )?;
        finite(&format!("the measure {:?}", measure.name), measure.value)?;
    }
    for proposal in &decision.proposals {
        self::proposal(limits, descriptor, context, proposal)?;
    }
    Ok(())
}

fn proposal(
    limits: &AnswerLimits,
    descriptor: &Descriptor,
    context: &Context,
    proposal: &Proposal,
) -> Checked {
    at_most(
        "the length of a part's id",
        proposal.part.len(),
        limits.name_bytes,
    )?;
    at_most(
        "the length of a proposal's reason",
        proposal.reason.len(),
        limits.sentence_bytes,
    )?;
    if !context.parts.iter().any(|part| part.id == proposal.part) {
        let message = format!(
            "the policy proposed something for {:?}, which the target does not have",
            proposal.part
        );
        return Err(Failure::of_part(
            FailureKind::UnknownPart,
            &proposal.part,
            message,
        ));
    }
    let kind = proposal.action.kind();
    if !descriptor.actions.iter().any(|declared| declared == kind) {
        let message = format!(
            "the policy proposed the action {kind:?}, which its description does not declare"
        );
        return Err(Failure::of_part(
            FailureKind::UndeclaredAction,
            &proposal.part,
            message,
        ));
    }
    if let Some(at) = proposal.not_before {
        finite("not-before", at)?;
    }
    action(limits, &proposal.action)
}

fn action(limits: &AnswerLimits, action: &Action) -> Checked {
    match action {
        Action::Replicas(_) | Action::ShardCount(_) => Ok(()),
        Action::Resources(sizes) => {
            at_most(
                "the number of containers",
                sizes.len(),
                limits.action_elements,
            )?;
            sizes.iter().try_for_each(|size| {
                at_most(
                    "the length of a container's name",
                    size.name.len(),
                    limits.name_bytes,
                )?;
                amounts(limits, &size.requests)?;
                amounts(limits, &size.limits)
            })
        }
        Action::Storage(size) => {
            at_most(
                "the length of a volume's name",
                size.name.len(),
                limits.name_bytes,
            )?;
            not_negative("the volume's size", size.bytes)
        }
        Action::Split(points) => {
            at_most(
                "the number of split points",
                points.len(),
                limits.action_elements,
            )?;
            points.iter().try_for_each(|point| {
                at_most(
                    "the length of a keyspace id",
                    point.len(),
                    limits.name_bytes,
                )
            })
        }
        Action::Merge(parts) => {
            at_most(
                "the number of merged shards",
                parts.len(),
                limits.action_elements,
            )?;
            parts.iter().try_for_each(|part| {
                at_most("the length of a part's id", part.len(), limits.name_bytes)
            })
        }
        Action::Custom(custom) => {
            at_most(
                "the length of an action's kind",
                custom.kind.len(),
                limits.name_bytes,
            )?;
            at_most(
                "the length of an action's body",
                custom.body.len(),
                limits.document_bytes,
            )
        }
    }
}

fn amounts(limits: &AnswerLimits, amounts: &[Amount]) -> Checked {
    at_most(
        "the number of resources",
        amounts.len(),
        limits.action_elements,
    )?;
    amounts.iter().try_for_each(|amount| {
        at_most(
            "the length of a resource's name",
            amount.resource.len(),
            limits.name_bytes,
        )?;
        not_negative(
            &format!("the amount of {:?}", amount.resource),
            amount.value,
        )
    })
}

/// Checks what a policy says of itself.
pub(crate) fn descriptor(limits: &AnswerLimits, said: &Descriptor) -> Checked {
    if said.name.is_empty() {
        return Err(Failure::new(
            FailureKind::Reported,
            "the policy's name is empty",
        ));
    }
    at_most(
        "the length of the policy's name",
        said.name.len(),
        limits.name_bytes,
    )?;
    at_most(
        "the length of the policy's version",
        said.version.len(),
        limits.name_bytes,
    )?;
    at_most(
        "the length of the summary",
        said.summary.len(),
        limits.sentence_bytes,
    )?;
    at_most(
        "the length of the config's schema",
        said.config_schema.len(),
        limits.document_bytes,
    )?;
    names(limits, "target kind", &said.target_kinds)?;
    names(limits, "action", &said.actions)?;
    if !said.config_schema.is_empty()
        && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&said.config_schema)
    {
        let message = format!("the config's schema is not JSON: {error}");
        return Err(Failure::new(FailureKind::Reported, message));
    }
    Ok(())
}

fn names(limits: &AnswerLimits, what: &str, names: &[String]) -> Checked {
    at_most(&format!("the number of {what}s"), names.len(), limits.needs)?;
    names.iter().try_for_each(|name| {
        at_most(
            &format!("the length of a {what}"),
            name.len(),
            limits.name_bytes,
        )
    })
}

/// Checks what a policy needs.
pub(crate) fn needs(limits: &AnswerLimits, needs: &Needs) -> Checked {
    at_most("the number of signals", needs.signals.len(), limits.needs)?;
    at_most(
        "the number of forecasts",
        needs.forecasts.len(),
        limits.needs,
    )?;
    names(limits, "part kind", &needs.part_kinds)?;
    let reach = limits.reach_seconds as f64;
    for signal in &needs.signals {
        let of = |field: &str| format!("the {field} of the signal {:?}", signal.name);
        at_most(
            "the length of a signal's name",
            signal.name.len(),
            limits.name_bytes,
        )?;
        at_most(&of("unit"), signal.unit.len(), limits.name_bytes)?;
        at_most(&of("summary"), signal.summary.len(), limits.sentence_bytes)?;
        at_most(
            &of("example"),
            signal.example_promql.len(),
            limits.document_bytes,
        )?;
        within(&of("step"), signal.step, 1.0, reach)?;
        within(&of("look-back"), signal.lookback, 0.0, reach)?;
    }
    for forecast in &needs.forecasts {
        let of = |field: &str| format!("the {field} of the forecast of {:?}", forecast.signal);
        at_most(
            "the length of a signal's name",
            forecast.signal.len(),
            limits.name_bytes,
        )?;
        at_most(&of("levels"), forecast.levels.len(), limits.needs)?;
        at_most(&of("peaks"), forecast.peaks.len(), limits.needs)?;
        within(&of("horizon"), forecast.horizon, 0.0, reach)?;
        for level in &forecast.levels {
            within(&of("level"), *level, 1e-6, 1.0 - 1e-6)?;
        }
        for peak in &forecast.peaks {
            at_most(
                "the length of an action",
                peak.action.len(),
                limits.name_bytes,
            )?;
            within(&of("lead"), peak.lead.unwrap_or(0.0), 0.0, reach)?;
            within(&of("window"), peak.window, 0.0, reach)?;
        }
    }
    Ok(())
}

/// Keeps as much of a policy's own issues as anybody reads.
pub(crate) fn issues(limits: &AnswerLimits, mut issues: Vec<ConfigIssue>) -> Vec<ConfigIssue> {
    issues.truncate(usize::try_from(limits.needs).unwrap_or(usize::MAX));
    for issue in &mut issues {
        cut(&mut issue.path, limits.name_bytes);
        cut(&mut issue.message, limits.sentence_bytes);
    }
    issues
}

/// Cuts a text off at a limit.
pub(crate) fn cut(text: &mut String, limit_bytes: u64) {
    text.truncate(text.floor_char_boundary(usize::try_from(limit_bytes).unwrap_or(usize::MAX)));
}

fn at_most(what: &str, value: usize, limit: u64) -> Checked {
    if value as u64 <= limit {
        return Ok(());
    }
    Err(Failure::new(
        FailureKind::AnswerTooLarge,
        format!("{what} is {value}, and {limit} is the limit"),
    ))
}

fn finite(what: &str, value: f64) -> Checked {
    within(what, value, f64::MIN, f64::MAX)
}

fn not_negative(what: &str, value: f64) -> Checked {
    within(what, value, 0.0, f64::MAX)
}

fn within(what: &str, value: f64, low: f64, high: f64) -> Checked {
    if value >= low && value <= high {
        return Ok(());
    }
    let range = match (low == f64::MIN, high == f64::MAX) {
        (true, true) => "a finite number".to_owned(),
        (_, true) => format!("a number from {low}"),
        _ => format!("between {low} and {high}"),
    };
    Err(Failure::new(
        FailureKind::NotANumber,
        format!("{what} is {value}, which is not {range}"),
    ))
}
