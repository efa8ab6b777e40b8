//! The futures can be spawned on a runtime of several threads.

use std::net::{IpAddr, Ipv4Addr};

use netlink::Kernel;

fn sent(_: impl Future + Send) {}

#[tokio::test]
async fn every_call_is_send() {
    let kernel = Kernel::connect().unwrap();
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    // Nothing is awaited: nothing is set.
    sent(kernel.mirror());
    sent(kernel.set_link("none", true, None));
    sent(kernel.ensure_address("none", address, 32));
    sent(kernel.remove_address("none", address, 32));
    sent(kernel.ensure_default_route("none", address));
    sent(kernel.manage_neighbour("none", address));
    sent(kernel.set_neighbour("none", address, [2, 0, 0, 0, 0, 1]));
    sent(kernel.forget_neighbour("none", address));
}
