//! The replay model, its peer policies, and a Vitess cluster in virtual time.
