//! Backups of shards by vtbackup, which reads no tablet but the primary and serves nobody.
//!
//! [`schedule`] says when one is due and from what it begins, [`job`] is the Job that makes it, [`store`] is how programs
//! reach the place where they are, and [`words`] what that says when it fails. All are pure.

pub mod job;
pub mod schedule;
pub mod store;
pub mod words;
