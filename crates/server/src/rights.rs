//! Which right each route needs: the one table.

use axum::http::Method;

/// What a caller needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// To be known; the route itself shows only what the caller may see.
    OfEverybodyKnown,
    /// A verb on a resource of the group `foreshard.dev`, in the namespace of the path and on the name in it.
    OnResource {
        verb: &'static str,
        resource: &'static str,
    },
    /// `get` on a path that is no resource.
    OnPath { path: &'static str },
}

const POLICIES: &str = "scalingpolicies";
const RECOMMENDATIONS: &str = "scalingrecommendations";
const MODULES: &str = "policymodules";
const OVERRIDES: &str = "scalingoverrides";
/// No kind of object: it exists in roles only.
const BACKTESTS: &str = "backtests";

/// Method, path and right; `/api/v1/namespaces/{ns}` is left out where a path is inside a namespace.
const TABLE: &[(&str, &str, Right)] = &[
    ("GET", "/api/v1/namespaces", Right::OfEverybodyKnown),
    ("GET", "/metrics", Right::OnPath { path: "/metrics" }),
    ("GET", "/targets", on("list", POLICIES)),
    ("GET", "/targets/{name}", on("get", POLICIES)),
    ("GET", "/targets/{name}/series", on("get", POLICIES)),
    ("GET", "/targets/{name}/policy", on("get", POLICIES)),
    ("PUT", "/targets/{name}/policy", on("update", POLICIES)),
    ("GET", "/forecasts/{name}", on("get", POLICIES)),
    ("GET", "/events", on("list", POLICIES)),
    ("GET", "/recommendations", on("list", RECOMMENDATIONS)),
    ("GET", "/recommendations/{name}", on("get", RECOMMENDATIONS)),
    (
        "POST",
        "/recommendations/{name}/approval",
        on("approve", RECOMMENDATIONS),
    ),
    ("POST", "/overrides", on("create", OVERRIDES)),
    ("GET", "/backtests", on("list", BACKTESTS)),
    ("POST", "/backtests", on("create", BACKTESTS)),
    ("GET", "/backtests/{name}", on("get", BACKTESTS)),
    ("DELETE", "/backtests/{name}", on("delete", BACKTESTS)),
    ("GET", "/policymodules", on("list", MODULES)),
    ("GET", "/policymodules/{name}", on("get", MODULES)),
    ("GET", "/policymodules/{name}/component", on("get", MODULES)),
    ("PUT", "/policymodules/{name}", on("update", MODULES)),
    ("DELETE", "/policymodules/{name}", on("delete", MODULES)),
];

const IN_NAMESPACE: &str = "/api/v1/namespaces/{ns}";

const fn on(verb: &'static str, resource: &'static str) -> Right {
    Right::OnResource { verb, resource }
}

impl Right {
    /// Whether it is to more than to look.
    pub(crate) fn changes_something(self) -> bool {
        matches!(self, Self::OnResource { verb, .. } if !matches!(verb, "get" | "list"))
    }
}

/// What the route needs; none: it is not in the table.
pub(crate) fn right_to(method: &Method, path: &str) -> Option<Right> {
    // What answers to GET answers to HEAD.
    let method = if method == Method::HEAD {
        "GET"
    } else {
        method.as_str()
    };
    let row = rows(path).find(|(row_method, _)| *row_method == method);
    row.map(|(_, right)| right)
}

/// The methods that a path takes, as an `Allow` header has them; empty: the path is not in the table.
pub(crate) fn methods_of(path: &str) -> String {
    let methods = rows(path).map(|(method, _)| match method {
        "GET" => "GET,HEAD",
        other => other,
    });
    methods.collect::<Vec<_>>().join(",")
}

fn rows(path: &str) -> impl Iterator<Item = (&'static str, Right)> {
    let inside = path.strip_prefix(IN_NAMESPACE);
    let rows = TABLE.iter();
    rows.filter(move |(_, row_path, _)| *row_path == path || inside == Some(*row_path))
        .map(|(method, _, right)| (*method, *right))
}
