//! The end-to-end tests.

mod access_log;
mod addresses;
mod api;
mod bed;
mod boot_time;
mod changes;
mod checks;
mod datagrams;
mod deployments;
mod edits;
mod exchanges;
mod failures;
mod files;
mod first_boot;
mod hostile;
mod image;
mod image_deployments;
mod image_failures;
mod image_files;
mod image_memory;
mod keeps;
mod laboratory;
mod layer7;
mod limits;
mod listing;
mod load;
pub mod modes;
mod offload;
mod packets;
mod power_cuts;
mod rules;
mod scale;
mod secure_boot;
mod shares;
mod smuggling;
mod storage;
mod tls;

use crate::harness::Test;

/// All of them, in the order they run in.
pub fn all() -> Vec<Test> {
    let mut tests = Vec::new();
    bed::add(&mut tests);
    modes::add(&mut tests);
    packets::add(&mut tests);
    datagrams::add(&mut tests);
    shares::add(&mut tests);
    failures::add(&mut tests);
    limits::add(&mut tests);
    edits::add(&mut tests);
    load::add(&mut tests);
    layer7::add(&mut tests);
    exchanges::add(&mut tests);
    smuggling::add(&mut tests);
    tls::add(&mut tests);
    keeps::add(&mut tests);
    changes::add(&mut tests);
    hostile::add(&mut tests);
    access_log::add(&mut tests);
    rules::add(&mut tests);
    addresses::add(&mut tests);
    deployments::add(&mut tests);
    offload::add(&mut tests);
    storage::add(&mut tests);
    files::add(&mut tests);
    checks::add(&mut tests);
    api::add(&mut tests);
    listing::add(&mut tests);
    scale::add(&mut tests);
    laboratory::add(&mut tests);
    image::add(&mut tests);
    tests
}
