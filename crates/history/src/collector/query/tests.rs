//! What is sent for what is asked.

use super::*;

fn enforced(promql: &str) -> Result<String, QueryError> {
    let tenant = Enforced {
        label: "namespace".to_owned(),
        value: "shop".to_owned(),
    };
    Query::new(promql, Some(&tenant)).map(|query| query.text().to_owned())
}

#[test]
fn every_selector_gets_the_enforced_matcher_wherever_it_stands() {
    for (promql, sent) in [
        ("x", r#"x{namespace="shop"}"#),
        (r#"x{namespace="shop"}"#, r#"x{namespace="shop"}"#),
        (
            r#"sum(rate(x{app="a"}[5m] offset 1h)) / on () y"#,
            r#"sum(rate(x{app="a",namespace="shop"}[5m] offset 1h)) / on () y{namespace="shop"}"#,
        ),
        (
            "max_over_time(sum(rate(x[1m]))[1h:5m])",
            r#"max_over_time(sum(rate(x{namespace="shop"}[1m]))[1h:5m])"#,
        ),
        (
            "sum(x) or absent(y) unless vector(scalar(z))",
            r#"sum(x{namespace="shop"}) or absent(y{namespace="shop"}) unless vector(scalar(z{namespace="shop"}))"#,
        ),
        // In the parameter of an aggregation, which is easily overlooked.
        (
            "topk(scalar(sum(secret)), x)",
            r#"topk(scalar(sum(secret{namespace="shop"})), x{namespace="shop"})"#,
        ),
        (
            "quantile(scalar(secret), x)",
            r#"quantile(scalar(secret{namespace="shop"}), x{namespace="shop"})"#,
        ),
        (
            r#"{__name__=~"a.*"} # } or secret{"#,
            r#"{__name__=~"a.*",namespace="shop"}"#,
        ),
        // Texts that try to end themselves.
        (
            r#"x{a="\"} or secret{b=\""}"#,
            r#"x{a="\"} or secret{b=\"",namespace="shop"}"#,
        ),
        (r"x{a='\'} or y{'}", r#"x{a="'} or y{",namespace="shop"}"#),
        (r"x{a=`b`}", r#"x{a="b",namespace="shop"}"#),
        (
            r#"{"evil} or secret{"}"#,
            r#"{__name__="evil} or secret{",namespace="shop"}"#,
        ),
        (
            r#"x{zone="b",app="a"}"#,
            r#"x{app="a",namespace="shop",zone="b"}"#,
        ),
        ("1 + 2", "1 + 2"),
    ] {
        assert_eq!(enforced(promql).as_deref(), Ok(sent), "{promql}");
    }
}

#[test]
fn what_cannot_be_narrowed_is_refused() {
    let mut report = String::new();
    for promql in [
        "sum(x",
        "",
        "not promql at all",
        r#"x{namespace="other"}"#,
        r#"x{namespace!="shop"}"#,
        r#"x{namespace=~"shop|other"}"#,
        r#"x{namespace="shop"} + y{namespace="other"}"#,
        r#"x{namespace="shop",namespace="other"}"#,
        r#"x{a="b" or namespace="other"}"#,
        "info(x)",
        r#"topk(scalar(x{namespace="other"}), y)"#,
        &"x+".repeat(500),
    ] {
        let error = enforced(promql).expect_err(promql);
        let shown: String = promql.chars().take(60).collect();
        report.push_str(&format!("{shown}: {error}\n"));
    }
    insta::assert_snapshot!(report);
}

fn shapes(promql: &str) -> Vec<String> {
    let query = Query::new(promql, None).unwrap();
    let show = |template: &Template| format!("{}: {}", template.value(), template.shape());
    query.templates().iter().map(show).collect()
}

#[test]
fn a_query_can_be_grouped_by_each_label_that_it_compares() {
    for (promql, expected) in [
        (
            r#"sum(rate(x{app="a",c="d",e!="f"}[1m]))"#,
            vec![
                "a: sum by (app) (rate(x{app=~\0,c=\"d\",e!=\"f\"}[1m]))",
                "d: sum by (c) (rate(x{app=\"a\",c=~\0,e!=\"f\"}[1m]))",
            ],
        ),
        (
            r#"-max(x{app="a"} offset 5m) * 2 + 1"#,
            vec!["a: -max by (app) (x{app=~\0} offset 5m) * 2 + 1"],
        ),
        (
            r#"quantile(0.9, (avg_over_time(x{app="a"}[5m]) / 100))"#,
            vec!["a: quantile by (app) (0.9, (avg_over_time(x{app=~\0}[5m]) / 100))"],
        ),
        (
            r#"count(clamp_max(x{app="a"}, 1))"#,
            vec!["a: count by (app) (clamp_max(x{app=~\0}, 1))"],
        ),
    ] {
        assert_eq!(shapes(promql), expected, "{promql}");
    }
}

#[test]
fn every_aggregation_that_can_be_grouped_is() {
    for promql in [
        "-sum(increase(x{app=\"a\"}[3m] offset 2m)) * 60 + 1",
        "max(max_over_time(x{app=\"a\",pod!=\"p3\"}[10m]) / 4)",
        "count(x{app=\"a\",pod=~\"p1|p2\"})",
        "group(x{app=\"a\"})",
        "quantile(0.9, x{app=\"a\"})",
        "sum(rate(x{app=\"a\"}[5m]))",
        "avg(x{app=\"a\"})",
        "min(x{app=\"a\"})",
        "sum(irate(x{app=\"a\"}[5m])) / 7",
        "stddev(x{app=\"a\"})",
        "stdvar(clamp_max(x{app=\"a\"}, 50))",
        "sum(resets(x{app=\"a\"}[1h])) + 2 ^ 3",
        "sum(irate(x{app=\"a\"}[5m] @ 1700000000)) / 7",
    ] {
        assert_eq!(shapes(promql).len(), 1, "{promql}");
    }
}

#[test]
fn a_query_that_would_change_its_meaning_is_not_grouped() {
    for promql in [
        // Labels do not come through, or are made up.
        r#"sum(max(x{app="a"}))"#,
        r#"sum(label_replace(x{app="a"}, "app", "b", "", ""))"#,
        r#"sum(absent(x{app="a"}))"#,
        r#"sum(vector(scalar(x{app="a"})))"#,
        r#"histogram_quantile(0.9, sum(rate(x{app="a"}[1m])))"#,
        // Grouped already, or not at all.
        r#"sum by (app) (x{app="a"})"#,
        r#"sum without (pod) (x{app="a"})"#,
        r#"x{app="a"}"#,
        r#"rate(x{app="a"}[1m])"#,
        r#"topk(1, x{app="a"})"#,
        r#"quantile(scalar(y), x{app="a"})"#,
        // Several selectors.
        r#"sum(x{app="a"}) / sum(y{app="a"})"#,
        r#"sum(x{app="a"} * on (pod) y{app="a"})"#,
        r#"sum(x{app="a"}) or vector(0)"#,
        r#"sum(x{app="a"}) > 5"#,
        r#"max_over_time(sum(rate(x{app="a"}[1m]))[1h:5m])"#,
        r#"sum(max_over_time(rate(x{app="a"}[1m])[1h:5m]))"#,
        // Nothing to leave open.
        "sum(x)",
        r#"sum(x{app=""})"#,
        r#"sum(x{app=~"a"})"#,
        r#"sum(x{app="a",app!="b"})"#,
        r#"sum({__name__="x"})"#,
    ] {
        assert_eq!(shapes(promql), Vec::<String>::new(), "{promql}");
    }
    // The enforced label is equal everywhere, and stays a plain matcher.
    let tenant = Enforced {
        label: "app".to_owned(),
        value: "a".to_owned(),
    };
    let query = Query::new(r#"sum(x{app="a"})"#, Some(&tenant)).unwrap();
    assert!(query.templates().is_empty());
}

#[test]
fn values_match_only_themselves() {
    let query = Query::new(r#"sum(x{app="a"})"#, None).unwrap();
    let values = ["a.b", "c|d", r"e\f", "g\"h", "i\nj", "ü-k"];
    let filled = query.templates()[0].fill(values.into_iter());
    assert_eq!(
        filled,
        r#"sum by (app) (x{app=~"a\\.b|c\\|d|e\\\\f|g\"h|i\nj|ü-k"})"#
    );
    let Ok(Expr::Aggregate(aggregate)) = parser::parse(&filled) else {
        panic!("{filled}");
    };
    let Expr::VectorSelector(selector) = *aggregate.expr else {
        panic!("{filled}");
    };
    let matcher = &selector.matchers.matchers[0];
    for value in values {
        assert!(matcher.is_match(value), "{value}");
    }
    for other in ["aXb", "c", "d", "a.b|c", "e", ""] {
        assert!(!matcher.is_match(other), "{other}");
    }
}

#[test]
fn equal_queries_have_one_text_and_unknown_ones_are_left_to_the_server() {
    let text = |promql| Query::new(promql, None).unwrap().text().to_owned();
    assert_eq!(text("sum( x{a='b'} )"), text(r#" sum(x{a="b"})"#));
    assert_eq!(text(r#"x{b="1",a="2"}"#), r#"x{a="2",b="1"}"#);
    assert_eq!(text(" new_syntax(x)[ "), "new_syntax(x)[");
    // Printing would lose something.
    assert_eq!(text("sum by () (x)"), "sum by () (x)");
}

#[test]
fn the_deepest_query_fits_on_a_small_stack() {
    let most = OPERATORS_MAX;
    let nested = [
        "-".repeat(most) + "x",
        "(".repeat(most) + "x" + &")".repeat(most),
        "x".to_owned() + &"+x".repeat(most),
        "x".to_owned() + &" or x".repeat(most),
        "abs(".repeat(most) + "x" + &")".repeat(most),
        "-".repeat(QUERY_BYTES_MAX - 1) + "x",
        "(".repeat(QUERY_BYTES_MAX / 2 - 1) + "x" + &")".repeat(QUERY_BYTES_MAX / 2 - 1),
        "x".to_owned() + &"+x".repeat(QUERY_BYTES_MAX / 2 - 1),
        "abs(".repeat(QUERY_BYTES_MAX / 5) + "x" + &")".repeat(QUERY_BYTES_MAX / 5),
    ];
    let read = move || {
        for promql in nested {
            let _ = Query::new(&promql, None);
            let _ = enforced(&promql);
        }
    };
    // A quarter of what a thread of the runtime has.
    let thread = std::thread::Builder::new().stack_size(1 << 19);
    thread.spawn(read).unwrap().join().unwrap();
    let long = "x".repeat(QUERY_BYTES_MAX + 1);
    assert!(matches!(
        Query::new(&long, None),
        Err(QueryError::Length { .. })
    ));
}
