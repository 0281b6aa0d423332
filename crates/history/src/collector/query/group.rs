//! How a query is asked for together with others that differ from it in the value of one label.
//!
//! `sum(rate(x{app="a"}[1m]))` and the same for `b` become `sum by (app) (rate(x{app=~"a|b"}[1m]))`. That is the same only
//! where every series keeps its labels from the selector up to the aggregation, and nothing is joined; so there are
//! templates for
//! - an outermost `sum`, `avg`, `min`, `max`, `count`, `group`, `stddev`, `stdvar` or `quantile` (with a number) without
//!   `by` and `without`, also negated, in parentheses, or in arithmetic with numbers (`sum(x) / 4`),
//! - over exactly one selector (with or without range, `offset` and `@`), bare or in functions that look at one series at
//!   a time ([`PER_SERIES`]), negation, parentheses and arithmetic with numbers,
//! - and for each of its labels that is compared by `=` with a text that is not empty, and mentioned once; not for the
//!   metric's name, nor for the enforced label.
//!
//! Everything else is asked for singly: operators between selectors, comparisons, several selectors, subqueries, inner
//! aggregations, `histogram_quantile`, `label_replace`, `absent`, `scalar`, and selectors without an aggregation.

use promql_parser::label::MatchOp;
use promql_parser::parser::{AggregateExpr, Expr, LabelModifier, VectorSelector};

use super::super::query::prints_as_it_is;

/// Aggregations whose result for a subset of series does not depend on the others when grouped by a label.
const AGGREGATIONS: [&str; 9] = [
    "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "quantile",
];

/// Functions from one series to one series, with all its labels but the name.
const PER_SERIES: [&str; 32] = [
    "abs",
    "avg_over_time",
    "ceil",
    "changes",
    "clamp",
    "clamp_max",
    "clamp_min",
    "count_over_time",
    "delta",
    "deriv",
    "exp",
    "floor",
    "idelta",
    "increase",
    "irate",
    "last_over_time",
    "ln",
    "log10",
    "log2",
    "max_over_time",
    "min_over_time",
    "predict_linear",
    "present_over_time",
    "quantile_over_time",
    "rate",
    "resets",
    "round",
    "sgn",
    "sqrt",
    "stddev_over_time",
    "stdvar_over_time",
    "sum_over_time",
];

/// Stands where the value goes until the text is cut there.
const PLACEHOLDER: &str = "foreshard_value_goes_here";

/// Where the values go in a shape. No query that holds it has templates.
const HOLE: char = '\0';

/// A query with one label's value left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    /// The grouped query, with [`HOLE`] for the matcher's text. Queries of equal shape can be asked for together.
    shape: Box<str>,
    label: Box<str>,
    value: Box<str>,
}

impl Template {
    /// Equal for queries that can be asked for together.
    pub(crate) fn shape(&self) -> &str {
        &self.shape
    }

    /// The label by which the answer is dealt out.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// The label's value that is this query's own.
    pub(crate) fn value(&self) -> &str {
        &self.value
    }

    /// The query for several values at once.
    pub(crate) fn fill<'a>(&self, values: impl Iterator<Item = &'a str>) -> String {
        let (before, after) = self.shape.split_once(HOLE).unwrap_or((&self.shape, ""));
        let mut text = before.to_owned();
        text.push('"');
        for (i, value) in values.enumerate() {
            if i > 0 {
                text.push('|');
            }
            push_escaped(&mut text, value);
        }
        text.push('"');
        text.push_str(after);
        text
    }

    /// Bytes that one more value adds to the filled text.
    pub(crate) fn value_bytes(&self) -> usize {
        let mut text = String::new();
        push_escaped(&mut text, &self.value);
        text.len() + 1
    }
}

/// A text that matches only itself, as a regular expression inside of a quoted text.
fn push_escaped(text: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            // Escaped for the expression, and the escape for the text.
            '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' => {
                text.push_str(r"\\");
                text.push(c);
            }
            '\\' => text.push_str(r"\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            _ => text.push(c),
        }
    }
}

/// The templates of a query, one for each label that may stay open.
pub(super) fn templates(expression: &Expr, enforced_label: Option<&str>) -> Vec<Template> {
    let text = expression.to_string();
    if text.contains(HOLE) || text.contains(PLACEHOLDER) || !prints_as_it_is(expression) {
        return Vec::new();
    }
    let mut probe = expression.clone();
    let Some(aggregate) = aggregate_of(&mut probe) else {
        return Vec::new();
    };
    let Some(selector) = selector_of(&mut aggregate.expr) else {
        return Vec::new();
    };
    let open = |label: &str| Some(label) != enforced_label;
    open_labels(selector)
        .into_iter()
        .filter(|(label, _)| open(label))
        .filter_map(|(label, value)| template(expression.clone(), label, value))
        .collect()
}

fn template(mut expression: Expr, label: String, value: String) -> Option<Template> {
    let aggregate = aggregate_of(&mut expression)?;
    aggregate.modifier = Some(LabelModifier::include(vec![&label]));
    let selector = selector_of(&mut aggregate.expr)?;
    let matcher = selector.matchers.matchers.iter_mut();
    let matcher = matcher.into_iter().find(|matcher| matcher.name == label)?;
    matcher.value = PLACEHOLDER.to_owned();
    let text = expression.to_string();
    let (before, after) = text.split_once(&format!("{label}=\"{PLACEHOLDER}\""))?;
    Some(Template {
        shape: format!("{before}{label}=~{HOLE}{after}").into(),
        label: label.into(),
        value: value.into(),
    })
}

/// Labels that are compared by `=` with a text and mentioned nowhere else.
fn open_labels(selector: &VectorSelector) -> Vec<(String, String)> {
    let matchers = &selector.matchers.matchers;
    let mentioned = |name: &str| matchers.iter().filter(|other| other.name == name).count();
    let fits = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !name.starts_with("__")
    };
    matchers
        .iter()
        .filter(|matcher| matcher.op == MatchOp::Equal && !matcher.value.is_empty())
        .filter(|matcher| fits(&matcher.name) && mentioned(&matcher.name) == 1)
        .map(|matcher| (matcher.name.clone(), matcher.value.clone()))
        .collect()
}

/// The outermost aggregation, if grouping it by a label keeps its meaning.
fn aggregate_of(expression: &mut Expr) -> Option<&mut AggregateExpr> {
    match expression {
        Expr::Aggregate(aggregate) => {
            let name = aggregate.op.to_string();
            let number = match &aggregate.param {
                None => name != "quantile",
                Some(parameter) => name == "quantile" && is_number(parameter),
            };
            let known = AGGREGATIONS.contains(&name.as_str());
            (known && number && aggregate.modifier.is_none()).then_some(aggregate)
        }
        other => aggregate_of(step_in(other)?),
    }
}

/// The one selector, if every series keeps its labels on the way up.
fn selector_of(expression: &mut Expr) -> Option<&mut VectorSelector> {
    match expression {
        Expr::VectorSelector(selector) => plain(selector),
        Expr::MatrixSelector(matrix) => plain(&mut matrix.vs),
        Expr::Call(call) => {
            if !PER_SERIES.contains(&call.func.name) {
                return None;
            }
            let mut series = call.args.args.iter_mut().filter(|one| !is_number(one));
            match (series.next(), series.next()) {
                (Some(one), None) => selector_of(one),
                _ => None,
            }
        }
        other => selector_of(step_in(other)?),
    }
}

fn plain(selector: &mut VectorSelector) -> Option<&mut VectorSelector> {
    selector.matchers.or_matchers.is_empty().then_some(selector)
}

/// Through parentheses, negation, and arithmetic with a number.
fn step_in(expression: &mut Expr) -> Option<&mut Expr> {
    match expression {
        Expr::Paren(paren) => Some(&mut paren.expr),
        Expr::Unary(unary) => Some(&mut unary.expr),
        Expr::Binary(binary) => {
            let arithmetic = ["+", "-", "*", "/", "%", "^"];
            if !arithmetic.contains(&binary.op.to_string().as_str()) {
                return None;
            }
            match (is_number(&binary.lhs), is_number(&binary.rhs)) {
                (true, false) => Some(&mut binary.rhs),
                (false, true) => Some(&mut binary.lhs),
                _ => None,
            }
        }
        _ => None,
    }
}

fn is_number(expression: &Expr) -> bool {
    match expression {
        Expr::NumberLiteral(_) => true,
        Expr::Paren(paren) => is_number(&paren.expr),
        Expr::Unary(unary) => is_number(&unary.expr),
        Expr::Binary(binary) => is_number(&binary.lhs) && is_number(&binary.rhs),
        _ => false,
    }
}
