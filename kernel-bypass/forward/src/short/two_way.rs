//! How packets of a connection both of whose directions pass here become those of its other way.

use conn::{Packed, Paired};
use wire::{
    Packet, mac,
    short::{self, New, Traits},
};

/// A connection that was found by one of its two keys.
pub(super) trait Translate {
    /// Gives a packet that has this key the addresses and ports of the other way and these Ethernet
    /// addresses, if it may live on and stays in its family.
    fn translate<P: Packet>(
        self,
        packet: &mut P,
        traits: Traits,
        to: mac::Word,
        from: mac::Word,
    ) -> Option<()>;
}

impl Translate for Packed<'_> {
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
}

impl Translate for Paired<'_> {
    #[inline(always)]
    fn translate<P: Packet>(
        self,
        packet: &mut P,
        traits: Traits,
        to: mac::Word,
        from: mac::Word,
    ) -> Option<()> {
        // Who has such a key is of IPv6.
        debug_assert!(traits.is_v6());
        let (addresses, ports) = self.new_v6();
        let new = New { addresses, ports };
        short::translate_v6(packet.bytes_mut(), traits.is_tcp(), &new, to, from).then_some(())
    }
}
