//! Namespaces, clients and real servers around the real binaries: the demo and the end-to-end
//! tests. Needs root; touches nothing outside the namespaces that it makes.
#![forbid(unsafe_code)]

pub mod balancer;
pub mod capture;
pub mod clients;
pub mod demo;
pub mod frame;
pub mod harness;
pub mod lab;
pub mod machine;
pub mod scene;
pub mod servers;
pub mod suite;
pub mod tool;
