//! Addresses of interfaces.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result, ensure};
use rtnetlink::AddressMessageBuilder;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, CacheInfo,
};

use crate::{Kernel, explained, refusal};

impl Kernel {
    /// Puts `address`/`prefix` on `interface`; whether it had to be added.
    ///
    /// An IPv6 address skips duplicate address detection (RFC 4862 section 5.4) and so is usable at once: a floating
    /// address must not be silent for the second the detection takes. IPv6 knows an address once per interface whatever
    /// its prefix: one that is there with another prefix counts as there.
    ///
    /// An IPv6 address that stands alone (/128: a virtual address) is deprecated from the start (RFC 4862 section
    /// 5.5.4): it answers, but no connection of our own begins with it. A health check from the virtual address would
    /// be answered by the real server to itself, because it carries that address too.
    ///
    /// # Errors
    /// When there is no such interface, the prefix is longer than the address, or the kernel refuses.
    pub async fn ensure_address(
        &self,
        interface: &str,
        address: IpAddr,
        prefix: u8,
    ) -> Result<bool> {
        check_prefix(address, prefix)?;
        let index = self.index(interface).await?;
        let mut request = self.handle.address().add(index, address, prefix);
        if address.is_ipv6() {
            without_detection(request.message_mut());
        }
        if address.is_ipv6() && prefix == 128 {
            never_a_source(request.message_mut());
        }
        match request.execute().await.map_err(|error| refusal(&error)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => {
                Err(error).with_context(|| format!("cannot put {address}/{prefix} on {interface}"))
            }
        }
    }

    /// Takes `address`/`prefix` off `interface`; nothing to take off is fine, a missing interface too.
    ///
    /// The kernel takes the secondary IPv4 addresses of a subnet with their primary one unless the sysctl
    /// `promote_secondaries` is set.
    ///
    /// # Errors
    /// When the prefix is longer than the address, or the kernel refuses.
    pub async fn remove_address(&self, interface: &str, address: IpAddr, prefix: u8) -> Result<()> {
        check_prefix(address, prefix)?;
        let Some(index) = self.index_if_any(interface).await? else {
            return Ok(());
        };
        let message = message(index, address, prefix);
        let result = self.handle.address().del(message).execute().await;
        match result {
            Err(error) if refusal(&error).kind() == ErrorKind::AddrNotAvailable => Ok(()),
            result => {
                explained(result, || format!("cannot take {address}/{prefix} off {interface}"))
            }
        }
    }
}

/// Refuses what the kernel would silently misread or refuse without a reason.
pub(crate) fn check_prefix(address: IpAddr, prefix: u8) -> Result<()> {
    let longest = if address.is_ipv4() { 32 } else { 128 };
    ensure!(prefix <= longest, "the prefix length {prefix} of {address} is more than {longest}");
    Ok(())
}

fn without_detection(message: &mut AddressMessage) {
    message.header.flags |= AddressHeaderFlags::Nodad;
    let flags = AddressAttribute::Flags(AddressFlags::Nodad);
    message.attributes.push(flags);
}

fn never_a_source(message: &mut AddressMessage) {
    let mut lifetimes = CacheInfo::default();
    (lifetimes.ifa_preferred, lifetimes.ifa_valid) = (0, u32::MAX);
    message.attributes.push(AddressAttribute::CacheInfo(lifetimes));
}

fn message(index: u32, address: IpAddr, prefix: u8) -> AddressMessage {
    match address {
        IpAddr::V4(address) => {
            AddressMessageBuilder::<Ipv4Addr>::new().index(index).address(address, prefix).build()
        }
        IpAddr::V6(address) => {
            AddressMessageBuilder::<Ipv6Addr>::new().index(index).address(address, prefix).build()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_fits_its_family() {
        let v4 = IpAddr::from([192, 0, 2, 1]);
        let v6 = IpAddr::V6(Ipv6Addr::LOCALHOST);
        assert!(check_prefix(v4, 32).is_ok());
        assert!(check_prefix(v4, 33).is_err());
        assert!(check_prefix(v6, 128).is_ok());
        assert!(check_prefix(v6, 129).is_err());
    }
}
