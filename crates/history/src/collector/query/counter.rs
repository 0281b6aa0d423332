//! Counters that are read as they are.

use promql_parser::parser::{BinaryExpr, Expr};

/// How a counter is named: <https://prometheus.io/docs/practices/naming/>.
const SUFFIX: &str = "_total";

/// Functions and aggregations that do not give a counter's value.
const HARMLESS: [&str; 8] = [
    "absent",
    "absent_over_time",
    "count",
    "count_values",
    "group",
    "timestamp",
    "present_over_time",
    "resets",
];

/// A counter whose value itself is used, and not how fast it grows: it only ever grows.
pub(super) fn raw_counter(expression: &Expr) -> Option<String> {
    match expression {
        Expr::VectorSelector(selector) => {
            selector.name.clone().filter(|name| name.ends_with(SUFFIX))
        }
        Expr::Aggregate(aggregate) => {
            let harmless = HARMLESS.contains(&aggregate.op.to_string().as_str());
            (!harmless).then(|| raw_counter(&aggregate.expr)).flatten()
        }
        Expr::Unary(unary) => raw_counter(&unary.expr),
        Expr::Binary(binary) => of_operator(binary),
        Expr::Paren(paren) => raw_counter(&paren.expr),
        Expr::Call(call) if HARMLESS.contains(&call.func.name) => None,
        Expr::Call(call) => call.args.args.iter().find_map(|it| raw_counter(it)),
        // What is made of a range is not the value itself.
        Expr::MatrixSelector(_)
        | Expr::Subquery(_)
        | Expr::NumberLiteral(_)
        | Expr::StringLiteral(_)
        | Expr::Extension(_) => None,
    }
}

fn of_operator(binary: &BinaryExpr) -> Option<String> {
    if binary.return_bool() {
        return None;
    }
    let left = raw_counter(&binary.lhs);
    let operator = binary.op.to_string();
    match operator.as_str() {
        // What they give is on their left.
        "and" | "unless" | "==" | "!=" | ">" | "<" | ">=" | "<=" => left,
        // Such as by how much it grew: `x_total - x_total offset 5m`.
        "-" if left.is_some() && left == raw_counter(&binary.rhs) => None,
        _ => left.or_else(|| raw_counter(&binary.rhs)),
    }
}

#[cfg(test)]
mod tests {
    use promql_parser::parser;

    use super::*;

    #[test]
    fn only_a_counter_without_a_rate_is_found() {
        for (promql, found) in [
            ("sum(http_requests_total)", Some("http_requests_total")),
            (
                "http_requests_total{app=\"a\"} / 60",
                Some("http_requests_total"),
            ),
            ("sum(up) + -(x_total)", Some("x_total")),
            ("max by (pod) (clamp_min(x_total, 0))", Some("x_total")),
            ("x_total > 5", Some("x_total")),
            ("sum(rate(x_total[5m]))", None),
            ("sum(increase(x_total[5m]))", None),
            ("max_over_time(rate(x_total[1m])[5m:1m])", None),
            ("count(x_total)", None),
            ("sum(rate(a_total[5m])) and on() (b_total > 0)", None),
            ("rate(a_total[5m]) > on() b_total", None),
            ("(x_total - x_total offset 5m) / 300", None),
            ("x_total - y_total", Some("x_total")),
            ("sum(x_total > bool 5)", None),
            ("absent(x_total)", None),
            ("avg(queue_length)", None),
            ("vector(1)", None),
        ] {
            let expression = parser::parse(promql).unwrap();
            assert_eq!(raw_counter(&expression).as_deref(), found, "{promql}");
        }
    }
}
