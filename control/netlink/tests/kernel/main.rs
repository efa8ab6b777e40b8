//! The whole crate against a real kernel, inside network namespaces of the test's own.
//!
//! Each test makes three namespaces (the balancer, a peer, a real server), and runs its body by starting itself again in
//! the balancer's. Without root it says so and does nothing.

mod answers;
mod lab;
mod linux;
mod rules;

/// What the body of each test runs as: itself again, in a namespace.
macro_rules! in_lab {
    ($($test:ident => $body:path),* $(,)?) => {$(
        #[test]
        fn $test() {
            lab::run(stringify!($test), $body);
        }
    )*};
}

in_lab! {
    addresses_come_and_go => linux::addresses,
    an_ipv6_address_is_usable_at_once => linux::ipv6_at_once,
    the_default_route_is_replaced => linux::default_route,
    a_managed_neighbour_is_resolved_without_traffic => linux::managed,
    a_static_neighbour_is_set_and_forgotten => linux::fixed,
    links_are_set_and_mirrored => linux::links,
    routes_are_mirrored => linux::routes,
    what_is_not_there => linux::absent,
    answers_to_any_address_are_taken => answers::taken,
    answers_that_nobody_wants_are_let_go => answers::exactly,
    the_shield_blinds_only_the_kernel => rules::shield,
    outbound_traffic_is_masqueraded => rules::masquerade,
}
