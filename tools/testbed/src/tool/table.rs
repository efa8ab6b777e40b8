//! Byte streams made to be read in two ways, and a reader of what can be read in one way only:
//! the crate `http1`'s, of which there are no others.

#[path = "../../../../l7/http/tests/common/reader.rs"]
#[allow(dead_code, reason = "each test program uses a part")]
pub mod reader;

#[path = "../../../../l7/http/tests/smuggling/table/mod.rs"]
pub mod smuggling;
