//! Decisions in one sentence for people.

use std::fmt::Write;

use crate::explanation::PartExplanation;

/// What was decided for one part, and what decided it.
pub(crate) fn of_part(part: &PartExplanation) -> String {
    let (before, wanted) = (part.before, part.wanted);
    let mut text = if wanted == before {
        format!("{} stay at {wanted}", part.action)
    } else {
        format!("{} {before} → {wanted}", part.action)
    };
    if let Some(clamp) = part.clamps.last() {
        let _ = write!(text, ": {} ({})", clamp.reason, clamp.guard.name());
    } else if let Some(ask) = part.asks.iter().find(|ask| ask.count == part.combined) {
        let _ = write!(text, ": {} ({})", ask.reason, ask.policy);
    } else {
        text.push_str(": no policy has an opinion, so plain HPA decides");
    }
    if part.without_forecast != wanted {
        let _ = write!(text, "; plain HPA would want {}", part.without_forecast);
    }
    text
}

/// What was decided for the target: its changes, or that there are none.
pub(crate) fn of_target(parts: &[PartExplanation]) -> String {
    if let [part] = parts {
        return part.summary.clone();
    }
    let changed: Vec<_> = parts
        .iter()
        .filter(|part| part.wanted != part.before)
        .map(|part| format!("{}: {}", part.part, part.summary))
        .collect();
    match (changed.as_slice(), parts.len()) {
        ([], 0) => "there is nothing to scale".to_owned(),
        ([], many) => format!("all {many} parts stay as they are"),
        (changed, _) => changed.join("; "),
    }
}
