//! `[[interface]]` and its neighbours.

use super::{Key, Kind, Object, integer, text};

/// Most addresses of one interface.
pub(crate) const MAX_ADDRESSES: usize = 64;
/// Most static neighbours of one interface.
pub(crate) const MAX_NEIGHBOURS: usize = 4_096;

/// `[[interface]]`
pub static INTERFACE: Object = Object {
    name: "interface",
    heading: "`[[interface]]`",
    help: "A port of the data plane and its companion interface in the kernel.",
    keys: &[
        Key::required("name", Kind::Text(&text::INTERFACE_NAME), "\"eth0\"")
            .help("The companion interface's name; no two share one."),
        Key::required("port", Kind::Text(&text::DEVICE), "\"0000:03:00.0\"")
            .help("The device that the data plane drives."),
        Key::with_default("addresses", ADDRESSES, "[]")
            .example("[\"192.168.100.10/24\"]")
            .help("Our own addresses, with the prefix length of the subnet."),
        Key::optional("gateway", GATEWAY, "none")
            .example("\"192.168.100.1\"")
            .help("Default gateway by this interface, or an array of one for each family."),
        Key::with_default("mtu", integer(1_280, 9_000, "bytes"), "1500")
            .help("Largest packet, from the IP header on."),
        Key::with_default("neighbours", NEIGHBOURS, "[]")
            .example("[{ address = \"192.168.100.110\", mac = \"02:00:00:00:01:10\" }]")
            .help("Stations whose Ethernet address is known without asking."),
        Key::with_default("masquerade", Kind::Boolean, "false").example("true").help(
            "Whether traffic that real servers of mode `l4-nat` begin themselves leaves here with \
             our address.",
        ),
    ],
    example: "\
[[interface]]
name = \"eth0\"
port = \"0000:03:00.0\"
addresses = [\"192.168.100.10/24\", \"2001:db8:100::10/64\"]
gateway = [\"192.168.100.1\", \"2001:db8:100::1\"]
",
};

const ADDRESSES: Kind =
    Kind::List { of: &Kind::Text(&text::PREFIX), least: 0, most: MAX_ADDRESSES };
const GATEWAY: Kind = Kind::Either(&[
    Kind::Text(&text::ADDRESS),
    Kind::List { of: &Kind::Text(&text::ADDRESS), least: 0, most: 2 },
]);
const NEIGHBOURS: Kind = Kind::Tables { of: &NEIGHBOUR, most: MAX_NEIGHBOURS };

/// One of `interface.neighbours`
pub static NEIGHBOUR: Object = Object {
    name: "neighbour",
    heading: "`neighbours` of an interface",
    help: "A station whose Ethernet address is known without asking.",
    keys: &[
        Key::required("address", Kind::Text(&text::ADDRESS), "\"192.168.100.110\"")
            .help("Its address, in a subnet of the interface."),
        Key::required("mac", Kind::Text(&text::MAC), "\"02:00:00:00:01:10\"")
            .help("Its Ethernet address."),
        Key::optional("vlan", integer(1, 4_094, ""), "no tag")
            .example("100")
            .help("The 802.1Q tag of frames to it."),
    ],
    example: "\
neighbours = [{ address = \"192.168.100.110\", mac = \"02:00:00:00:01:10\" }]
",
};
