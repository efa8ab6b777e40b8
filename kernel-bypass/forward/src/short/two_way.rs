//! Connections both of whose directions pass here, as the last stage sees them.

use conn::{Direction, Entry, LastHop, Packed, Paired};
use wire::{
    Packet, mac,
    short::{self, New, Traits},
};

/// A connection that was found by one of its two keys.
pub(super) trait TwoWay<'a>: Copy {
    /// Its entry.
    fn entry(self) -> Entry<'a>;

    /// That of the packets that have this key.
    fn direction(self) -> Direction;

    /// Gives such a packet the addresses and ports of the other way and these Ethernet addresses, if
    /// it may live on and stays in its family.
    fn translate<P: Packet>(
        self,
        packet: &mut P,
        traits: Traits,
        to: mac::Word,
        from: mac::Word,
    ) -> Option<()>;

    /// Where its client's packets come from.
    fn last_hop(self) -> LastHop;

    /// Notes where they come from now.
    fn set_last_hop(self, hop: LastHop);
}

impl<'a> TwoWay<'a> for Packed<'a> {
    #[inline(always)]
    fn entry(self) -> Entry<'a> {
        self.entry()
    }

    #[inline(always)]
    fn direction(self) -> Direction {
        self.direction()
    }

    #[inline(always)]
    fn translate<P: Packet>(
        self,
        packet: &mut P,
        traits: Traits,
        to: mac::Word,
        from: mac::Word,
    ) -> Option<()> {
        let (addresses, ports) = self.new_v4();
        let new = New { addresses, ports };
        short::translate_v4(packet.bytes_mut(), traits.is_tcp(), &new, to, from).then_some(())
    }

    #[inline(always)]
    fn last_hop(self) -> LastHop {
        self.last_hop()
    }

    #[inline(always)]
    fn set_last_hop(self, hop: LastHop) {
        self.set_last_hop(hop);
    }
}

impl<'a> TwoWay<'a> for Paired<'a> {
    #[inline(always)]
    fn entry(self) -> Entry<'a> {
        self.entry()
    }

    #[inline(always)]
    fn direction(self) -> Direction {
        self.direction()
    }

    #[inline(always)]
    fn translate<P: Packet>(
        self,
        packet: &mut P,
        traits: Traits,
        to: mac::Word,
        from: mac::Word,
    ) -> Option<()> {
        let (addresses, ports) = self.new_v6().filter(|_| traits.is_v6())?;
        let new = New { addresses, ports };
        short::translate_v6(packet.bytes_mut(), traits.is_tcp(), &new, to, from).then_some(())
    }

    #[inline(always)]
    fn last_hop(self) -> LastHop {
        self.last_hop()
    }

    #[inline(always)]
    fn set_last_hop(self, hop: LastHop) {
        self.set_last_hop(hop);
    }
}
