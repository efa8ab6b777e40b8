//! Versions of the file's format.
//!
//! There is one so far, and a file that names none has it. A change after which an old file would
//! be refused, or mean something else, makes the next version: raise [`VERSION`], and add a
//! function that rewrites a file of the version before, as a `DeTable`, with the rest of the
//! format's history in a table of such functions, one for each version but the last. [`accepted`]
//! is the place that runs those from the file's version on, before any other key is read. A key
//! that is only added needs no new version.

use crate::cx::{Cx, Scope};
use toml::de::{DeTable, DeValue};

/// The version that this release reads and writes.
pub const VERSION: u64 = 1;

/// Whether the file is of a version whose keys are known here. What is no version at all is for
/// the reader to report.
pub(crate) fn accepted(cx: &mut Cx<'_>, file: &DeTable<'_>) -> bool {
    let Some(value) = file.get("version") else { return true };
    let DeValue::Integer(number) = value.get_ref() else { return true };
    let known = u64::from_str_radix(number.as_str(), number.radix()).is_ok_and(|it| it <= VERSION);
    // Negative numbers and zero never were versions; numbers too large to be read may become some.
    let newer = !known && !number.as_str().starts_with('-');
    if newer {
        cx.place(Scope::File, "version", value.span());
        let shown = crate::net::clip(&number.to_string());
        let what = format!(
            "the file is of version {shown}, newer than this release, which knows up to {VERSION}"
        );
        let write = "the release that the file was written for, or a file of version 1";
        cx.error(Scope::File, "version", what, write);
    }
    !newer
}
