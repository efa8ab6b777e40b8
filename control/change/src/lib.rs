//! One change of the configuration: made in the operator's text ([`edit`]).
#![forbid(unsafe_code)]

pub mod edit;
