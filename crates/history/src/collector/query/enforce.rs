//! One matcher in every selector: what a tenant may read.

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{Expr, VectorSelector};

use super::super::config::Enforced;
use super::super::error::QueryError;
use super::walk::{Reader, readers};
use super::{prints_as_it_is, sort_matchers};

/// Reads series of its own choosing (`target_info`), whatever its arguments select.
const READS_MORE: &str = "info";

/// Puts the matcher into every selector. What is returned prints as what it is: no reading of the text by the server
/// sees fewer matchers than ours.
pub(super) fn enforce(
    expression: Result<Expr, String>,
    enforced: &Enforced,
) -> Result<Expr, QueryError> {
    let unreadable = |reason: String| QueryError::Unreadable {
        label: enforced.label.clone(),
        value: enforced.value.clone(),
        reason,
    };
    let mut expression = expression.map_err(unreadable)?;
    let unenforceable = |what: &str| QueryError::Unenforceable {
        what: what.to_owned(),
        label: enforced.label.clone(),
        value: enforced.value.clone(),
    };
    readers(&mut expression, &mut |reader| match reader {
        Reader::Selector(selector) if selector.matchers.or_matchers.is_empty() => {
            narrow(selector, enforced)
        }
        Reader::Selector(_) => Err(unenforceable("`or` between matchers")),
        Reader::Function(READS_MORE) => Err(unenforceable("the function info()")),
        Reader::Function(_) => Ok(()),
        Reader::Unknown => Err(unenforceable("an unknown extension")),
    })?;
    sort_matchers(&mut expression);
    if prints_as_it_is(&expression) {
        Ok(expression)
    } else {
        Err(unreadable(
            "it cannot be written again without a change; write it more plainly".to_owned(),
        ))
    }
}

fn narrow(selector: &mut VectorSelector, enforced: &Enforced) -> Result<(), QueryError> {
    let matchers = &mut selector.matchers.matchers;
    let same = |matcher: &&Matcher| matcher.name == enforced.label;
    let other =
        |matcher: &&Matcher| matcher.op != MatchOp::Equal || matcher.value != enforced.value;
    if let Some(other) = matchers.iter().filter(same).find(other) {
        return Err(QueryError::OtherTenant {
            found: other.to_string(),
            label: enforced.label.clone(),
            value: enforced.value.clone(),
        });
    }
    if !matchers
        .iter()
        .any(|matcher| matcher.name == enforced.label)
    {
        let matcher = Matcher::new(MatchOp::Equal, &enforced.label, &enforced.value);
        matchers.push(matcher);
    }
    Ok(())
}
