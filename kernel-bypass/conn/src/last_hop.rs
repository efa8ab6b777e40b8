//! Where a client's packets came in, so that replies leave the same way (auto last hop).

/// MAC address, VLAN and port of the station that delivered the last packet of a client; in one
/// word, so that it can be replaced at once: bits 0-47 MAC, 48-59 VLAN, 60-63 port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastHop(u64);

/// The port number that means "not known".
const NO_PORT: u64 = 15;

impl LastHop {
    /// Not known (yet).
    pub const UNKNOWN: Self = Self(NO_PORT << 60);

    /// Known. `port` is below 15; `vlan` is 1 to 4094.
    #[inline]
    pub const fn new(port: u8, vlan: Option<u16>, mac: [u8; 6]) -> Self {
        let [a, b, c, d, e, f] = mac;
        let mac = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
        let vlan = match vlan {
            Some(id) => (id & 0xfff) as u64,
            None => 0,
        };
        Self(mac | vlan << 48 | (port as u64 & 15) << 60)
    }

    /// From the word of an entry.
    #[inline]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// The word for an entry.
    #[inline]
    pub const fn word(self) -> u64 {
        self.0
    }

    /// The port, unless unknown.
    #[inline]
    pub const fn port(self) -> Option<u8> {
        let port = self.0 >> 60;
        if port == NO_PORT { None } else { Some(port as u8) }
    }

    /// The VLAN tag, if there was one.
    #[inline]
    pub const fn vlan(self) -> Option<u16> {
        let vlan = (self.0 >> 48) as u16 & 0xfff;
        if vlan == 0 { None } else { Some(vlan) }
    }

    /// The port, unless it is unknown or there was a tag.
    #[inline]
    pub const fn untagged_port(self) -> Option<u8> {
        // The tag above the port: only without one it is small.
        let port = ((self.0 >> 48) as u16).rotate_left(4);
        if (port as u64) < NO_PORT { Some(port as u8) } else { None }
    }

    /// The MAC address.
    #[inline]
    pub const fn mac(self) -> [u8; 6] {
        let [a, b, c, d, e, f, _, _] = self.0.to_le_bytes();
        [a, b, c, d, e, f]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_survives_the_word() {
        let hop = LastHop::from_word(LastHop::new(14, Some(4094), [1, 2, 3, 4, 5, 6]).word());
        assert_eq!((hop.port(), hop.vlan(), hop.mac()), (Some(14), Some(4094), [1, 2, 3, 4, 5, 6]));
        assert_eq!(LastHop::new(0, None, [0xff; 6]).vlan(), None);
        assert_eq!((LastHop::UNKNOWN.port(), LastHop::UNKNOWN.untagged_port()), (None, None));
        assert_eq!(
            (hop.untagged_port(), LastHop::new(14, None, [1; 6]).untagged_port()),
            (None, Some(14))
        );
    }
}
