//! DPDK's ways of failing, as one type.

use std::ffi::CStr;
use std::fmt;

/// An errno value as DPDK reports it, printed as its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    pub(crate) const NOT_SUPPORTED: Self = Self(95);
    pub(crate) const NO_SUCH_CALL: Self = Self(38);
    pub(crate) const NO_DEVICE: Self = Self(19);
    pub(crate) const INVALID: Self = Self(22);

    /// The calling thread's rte_errno.
    pub(crate) fn last() -> Self {
        // SAFETY: reads a thread-local integer.
        Self(unsafe { dpdk_sys::shim_errno() })
    }

    /// A call that answers zero or more, or a negative errno.
    pub(crate) fn check(result: i32) -> Result<i32, Self> {
        if result < 0 { Err(Self(-result)) } else { Ok(result) }
    }

    /// The driver does not have the function; not a failure where the function is a wish.
    pub(crate) fn is_unsupported(self) -> bool {
        self == Self::NOT_SUPPORTED || self == Self::NO_SUCH_CALL
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: rte_strerror answers a NUL-terminated text that stays until this thread asks
        // again; it is copied before this function returns.
        let text = unsafe { CStr::from_ptr(dpdk_sys::rte_strerror(self.0)) };
        write!(f, "{} ({})", text.to_string_lossy(), self.0)
    }
}

impl std::error::Error for Errno {}
