//! What several collectors may ask of one server.

use std::collections::BTreeMap;

/// Who asks a server, for its share.
pub(super) struct Asking<'a> {
    /// Scheme, host and port.
    pub(super) origin: &'a str,
    /// Its own, of a minute.
    pub(super) limit: u32,
    /// Different queries, by which a server is shared.
    pub(super) queries: usize,
}

/// What each may ask in a minute: all who ask one server have the highest of their limits together, each by what there
/// is to ask, and nobody more than their own.
pub(super) fn shares(all: &[Asking<'_>]) -> Vec<u32> {
    let mut servers: BTreeMap<&str, (u32, usize)> = BTreeMap::new();
    for it in all {
        let (limit, queries) = servers.entry(it.origin).or_default();
        *limit = it.limit.max(*limit);
        *queries += it.queries.max(1);
    }
    let share = |it: &Asking<'_>| {
        let (limit, queries) = servers.get(it.origin).copied().unwrap_or((it.limit, 1));
        let share = f64::from(limit) * it.queries.max(1) as f64 / queries.max(1) as f64;
        it.limit.min((share as u32).max(1))
    };
    all.iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_is_shared_by_what_there_is_to_ask() {
        let asking = |origin, limit, queries| Asking {
            origin,
            limit,
            queries,
        };
        let all = [
            asking("http://a", 3000, 299),
            asking("http://a", 600, 100),
            asking("http://a", 3000, 0),
            asking("http://b", 100, 5000),
        ];
        assert_eq!(shares(&all), [2242, 600, 7, 100]);
        let many: Vec<_> = (0..10_000).map(|_| asking("http://a", 60, 1)).collect();
        assert!(shares(&many).iter().all(|share| *share == 1));
    }
}
