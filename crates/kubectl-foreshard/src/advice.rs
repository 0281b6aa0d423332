//! What to do about a condition's reason: the table of docs/troubleshooting.md, so that both say the same.

const DOCS: &str = include_str!("../../../docs/troubleshooting.md");

/// What to do; none: nothing, or the reason is not in the table.
pub(crate) fn of(reason: &str) -> Option<String> {
    let row = DOCS.lines().find_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let reasons = cells.next()?;
        let known = reasons
            .split(',')
            .any(|it| it.trim().trim_matches('`') == reason);
        let (_meaning, advice) = (cells.next()?, cells.next()?);
        known.then_some(advice.trim_end_matches(" |"))
    })?;
    (row != "nothing").then(|| plain(row))
}

/// Without links and code marks.
fn plain(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some(start) = rest.find('[') {
        let link = rest[start + 1..]
            .split_once("](")
            .and_then(|(label, after)| {
                let (_, after) = after.split_once(')')?;
                Some((label, after))
            });
        let Some((label, after)) = link else { break };
        text += &rest[..start];
        if label.ends_with(".md") {
            text += "docs/";
        }
        text += label;
        rest = after;
    }
    text += rest;
    text.replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_docs_have_advice_for_what_is_wrong() {
        assert_eq!(
            of("SpecInvalid").as_deref(),
            Some("the message names the field")
        );
        assert_eq!(of("Forbidden").as_deref(), Some("docs/rbac.md"));
        assert!(
            of("WaitsForApproval")
                .unwrap()
                .contains("kubectl foreshard approve")
        );
        assert_eq!(of("UpToDate"), None);
        assert_eq!(of("NeverHeardOf"), None);
        for reason in [
            "HorizontalPodAutoscalerConflict",
            "NoData",
            "Paused",
            "KillSwitch",
            "MetricsStale",
        ] {
            let advice = of(reason).unwrap();
            assert!(!advice.contains(['`', '[', '|']), "{advice}");
        }
    }
}
