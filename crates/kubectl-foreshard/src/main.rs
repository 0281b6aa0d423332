//! The plugin of kubectl: what Foreshard does in a cluster, and a person's word about it.
#![forbid(unsafe_code)]

fn main() {}
