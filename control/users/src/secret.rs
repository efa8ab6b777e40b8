//! Text that is never shown.

/// A password or a token as somebody gave it. It has no `Debug`, `Display` or `Serialize`, so that
/// it can end in no log and no file by mistake.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes it out of sight.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// For whoever must compare or hash it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}
