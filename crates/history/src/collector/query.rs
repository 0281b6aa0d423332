//! A query, read once.

mod counter;
mod enforce;
mod group;
#[cfg(test)]
mod tests;
mod walk;

use std::convert::Infallible;

use promql_parser::parser::{self, Expr};
use walk::{Reader, readers};

use super::config::Enforced;
use super::error::QueryError;

pub(super) use group::Template;

/// Most bytes of a query.
pub(super) const QUERY_BYTES_MAX: usize = 4096;

/// Most operators and parentheses of a query that is read: they are how deep it can nest, and it is walked recursively.
const OPERATORS_MAX: usize = 400;

/// A query that may be sent.
#[derive(Debug)]
pub(super) struct Query {
    text: String,
    /// The ways in which it can be asked for together with others, one for each label that may differ.
    templates: Vec<Template>,
    /// A counter in it that is read as it is.
    raw_counter: Option<String>,
}

impl Query {
    /// Reads a query and puts the enforced matcher into every selector.
    ///
    /// What the parser cannot read is left to the server, as it is, if nothing is enforced.
    pub(super) fn new(promql: &str, enforced: Option<&Enforced>) -> Result<Self, QueryError> {
        let promql = promql.trim();
        if promql.is_empty() || promql.len() > QUERY_BYTES_MAX {
            return Err(QueryError::Length {
                bytes: promql.len(),
                bytes_max: QUERY_BYTES_MAX,
            });
        }
        let expression = parse(promql);
        if let Some(enforced) = enforced {
            let expression = enforce::enforce(expression, enforced)?;
            let templates = group::templates(&expression, Some(&enforced.label));
            return Ok(Self {
                text: expression.to_string(),
                templates,
                raw_counter: counter::raw_counter(&expression),
            });
        }
        // One text for all ways to write the same, if printing loses nothing.
        let raw_counter = expression.as_ref().ok().and_then(counter::raw_counter);
        let faithful = expression.ok().filter(prints_as_it_is);
        Ok(faithful.map_or_else(
            || Self {
                text: promql.to_owned(),
                templates: Vec::new(),
                raw_counter: raw_counter.clone(),
            },
            |expression| Self {
                text: expression.to_string(),
                templates: group::templates(&expression, None),
                raw_counter: raw_counter.clone(),
            },
        ))
    }

    /// What is sent.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// A counter in it whose value itself is used, and not how fast it grows.
    pub(super) fn raw_counter(&self) -> Option<&str> {
        self.raw_counter.as_deref()
    }

    /// The ways to group it.
    pub(super) fn templates(&self) -> &[Template] {
        &self.templates
    }
}

fn parse(promql: &str) -> Result<Expr, String> {
    // Those in texts are counted as well: none needs so many.
    let signs = promql
        .bytes()
        .filter(|byte| b"(+-*/%^<>=!~@".contains(byte))
        .count();
    let words = ["and", "or", "unless", "atan2"];
    let words = words.map(|word| promql.to_ascii_lowercase().matches(word).count());
    if signs + words.into_iter().sum::<usize>() > OPERATORS_MAX {
        return Err(format!(
            "it has more than {OPERATORS_MAX} operators and parentheses"
        ));
    }
    let mut expression = parser::parse(promql)?;
    sort_matchers(&mut expression);
    Ok(expression)
}

/// Matchers in the order in which they are printed, whatever the order in which they were written.
fn sort_matchers(expression: &mut Expr) {
    let sorted: Result<(), Infallible> = readers(expression, &mut |reader| {
        if let Reader::Selector(selector) = reader {
            selector
                .matchers
                .matchers
                .sort_by_cached_key(ToString::to_string);
        }
        Ok(())
    });
    let Ok(()) = sorted;
}

/// Whether the text of an expression gives the same expression again.
fn prints_as_it_is(expression: &Expr) -> bool {
    parser::parse(&expression.to_string()).is_ok_and(|again| again == *expression)
}
