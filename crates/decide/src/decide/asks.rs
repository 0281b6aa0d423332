//! What the policies asked for, sorted by part; what they may not ask for becomes a finding.

use std::collections::BTreeMap;

use crate::answer::PolicyAnswer;
use crate::contract::{Action, Context, Part, Proposal, Verdict};
use crate::explanation::{Ask, VerdictGiven};
use crate::finding::{Finding, FindingCode};
use crate::plan::Step;
use crate::reactive::counted_action;

/// What was asked of one part.
#[derive(Clone, Debug, Default)]
pub(super) struct Asks {
    /// Each policy's count.
    pub(super) given: Vec<Ask>,
    free_of_forecast: Vec<u32>,
}

impl Asks {
    /// The rule by which policies combine: the largest count.
    pub(super) fn most(&self) -> Option<u32> {
        self.given.iter().map(|ask| ask.count).max()
    }

    /// The largest count among the policies that do not use forecasts.
    pub(super) fn most_without_forecast(&self) -> Option<u32> {
        self.free_of_forecast.iter().copied().max()
    }
}

/// All asks of one evaluation.
#[derive(Debug, Default)]
pub(super) struct Collected<'a> {
    pub(super) by_part: BTreeMap<&'a str, Asks>,
    /// What is asked for a later time: shown, not done, asked again at every evaluation.
    pub(super) later: Vec<Step>,
}

/// Sorts the answers by part, and lists what each policy said.
pub(super) fn collect<'a>(
    context: &'a Context,
    answers: &[PolicyAnswer],
    findings: &mut Vec<Finding>,
) -> (Collected<'a>, Vec<VerdictGiven>) {
    let mut collected = Collected::default();
    let mut verdicts = Vec::with_capacity(answers.len());
    for answer in answers {
        findings.extend(answer.findings.iter().cloned());
        let mut given = VerdictGiven {
            policy: answer.policy.clone(),
            digest: answer.digest.clone(),
            abstained: true,
            reason: String::new(),
            measures: Vec::new(),
        };
        match &answer.verdict {
            Verdict::Abstain(reason) => given.reason.clone_from(reason),
            Verdict::Decide(decision) => {
                given.abstained = false;
                given.reason.clone_from(&decision.reason);
                given.measures.clone_from(&decision.measures);
                for proposal in &decision.proposals {
                    accept(context, answer, proposal, &mut collected, findings);
                }
            }
        }
        verdicts.push(given);
    }
    (collected, verdicts)
}

fn accept<'a>(
    context: &'a Context,
    answer: &PolicyAnswer,
    proposal: &Proposal,
    collected: &mut Collected<'a>,
    findings: &mut Vec<Finding>,
) {
    let policy = answer.policy.as_str();
    let part = context.parts.iter().find(|part| part.id == proposal.part);
    let Some(part) = part else {
        let message = format!("there is no part {:?}", proposal.part);
        let code = FindingCode::UnknownPart;
        findings.push(Finding::new(code, &proposal.part, policy, message));
        return;
    };
    let count = match (&proposal.action, counted_action(part)) {
        (Action::Replicas(count), "replicas") | (Action::ShardCount(count), "shard-count") => {
            *count
        }
        (action, _) => {
            let message = format!("this part does not offer the action {:?}", action.kind());
            let code = FindingCode::UnsupportedAction;
            findings.push(Finding::new(code, &part.id, policy, message));
            return;
        }
    };
    if proposal.not_before.is_some_and(|at| at > context.now) {
        collected.later.extend(later(part, proposal));
        return;
    }
    let asks = collected.by_part.entry(part.id.as_str()).or_default();
    asks.given.push(super::ask(policy, count, &proposal.reason));
    if !answer.uses_forecast {
        asks.free_of_forecast.push(count);
    }
}

fn later(part: &Part, proposal: &Proposal) -> Option<Step> {
    Some(Step {
        part: part.id.clone(),
        action: proposal.action.clone(),
        from: part.replicas.as_ref()?.wanted,
        not_before: proposal.not_before,
        reason: proposal.reason.clone(),
    })
}
