//! Links by name, and their state.

use anyhow::{Context, Result, anyhow};
use futures::TryStreamExt;
use rtnetlink::LinkUnspec;

use crate::{Kernel, explained, refusal};

/// `ENODEV`, which `std::io::ErrorKind` does not name.
const NO_SUCH_DEVICE: i32 = 19;

impl Kernel {
    /// Sets the link `name` up or down and, if given, its MTU in bytes.
    ///
    /// The MTU is set first: a link must not carry traffic with the wrong one even for a moment.
    ///
    /// # Errors
    /// When there is no such link, or the kernel refuses (an MTU out of the device's range, no privilege).
    pub async fn set_link(&self, name: &str, up: bool, mtu: Option<u16>) -> Result<()> {
        let index = self.index(name).await?;
        if let Some(mtu) = mtu {
            let message = LinkUnspec::new_with_index(index).mtu(mtu.into()).build();
            let result = self.handle.link().set(message).execute().await;
            explained(result, || format!("cannot set the MTU of {name} to {mtu}"))?;
        }
        let builder = LinkUnspec::new_with_index(index);
        let message = if up { builder.up() } else { builder.down() }.build();
        let result = self.handle.link().set(message).execute().await;
        let direction = if up { "up" } else { "down" };
        explained(result, || format!("cannot set {name} {direction}"))
    }

    /// The index of the link `name`; none is an error.
    pub(crate) async fn index(&self, name: &str) -> Result<u32> {
        self.index_if_any(name)
            .await?
            .ok_or_else(|| anyhow!("there is no network interface {name}"))
    }

    /// The index of the link `name`, or `None` when there is no such link.
    pub(crate) async fn index_if_any(&self, name: &str) -> Result<Option<u32>> {
        let mut links = self.handle.link().get().match_name(name).execute();
        match links.try_next().await {
            Ok(link) => Ok(link.map(|link| link.header.index)),
            Err(error) => {
                let refusal = refusal(&error);
                if refusal.raw_os_error() == Some(NO_SUCH_DEVICE) {
                    return Ok(None);
                }
                Err(refusal).with_context(|| format!("cannot look up the network interface {name}"))
            }
        }
    }
}
