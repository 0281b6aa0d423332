//! Trace files and Prometheus range queries, as regular series with gaps and freshness marked.
