//! The controllers: scaling in a Kubernetes cluster.
#![forbid(unsafe_code)]

pub mod access;
pub mod api;
pub mod module_store;
