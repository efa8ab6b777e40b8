//! How control asks a real server behind a tunnel at the virtual address.
//!
//! The frame of such a probe is the host's, for the virtual address; whom it is for is said by its
//! destination MAC address, which stands for a backend. The data plane encloses it as it encloses
//! clients' packets for that backend, so that the probe goes the whole way that they go.

use crate::{BackendId, Mac};

/// Locally administered, and never that of a station: control gives it out nowhere else.
const PREFIX: [u8; 2] = [0x02, 0x46];

/// The MAC address that stands for a backend.
pub const fn probe_mac(id: BackendId) -> Mac {
    let [a, b, c, d] = id.to_be_bytes();
    [PREFIX[0], PREFIX[1], a, b, c, d]
}

/// The backend that a MAC address stands for, if it is such a one.
pub const fn probed_backend(mac: Mac) -> Option<BackendId> {
    match mac {
        [p, q, a, b, c, d] if p == PREFIX[0] && q == PREFIX[1] => {
            Some(BackendId::from_be_bytes([a, b, c, d]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for id in [0, 1, 65_536, BackendId::MAX] {
            assert_eq!(probed_backend(probe_mac(id)), Some(id));
            assert_eq!(probe_mac(id)[0] & 3, 2, "a station's, locally administered");
        }
        assert_eq!(probed_backend([2, 0, 0, 0, 0, 1]), None);
    }
}
