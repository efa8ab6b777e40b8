//! HTTP/1 without I/O: strict heads, body framing, and what a load balancer may forward.
//!
//! Nothing here has a socket or a clock. The caller owns the buffers; a head is parsed into spans
//! of the caller's bytes, a body is passed on as ranges of them. What is ambiguous under RFC 9112
//! is refused ([`Refusal`] says whose fault it is and which status to answer) or re-issued in one
//! canonical form; the writer, not the sender, decides every octet that frames a message.
//!
//! [`Exchange`] drives one request and its response over two connections and is what a proxy
//! uses; the rest are its parts: [`RequestHead`] and [`ResponseHead`] (parsing), [`BodyFraming`]
//! and [`Body`] (RFC 9112 section 6), [`chunked`] (section 7), [`RequestEdits`] and
//! [`ResponseEdits`] (what is sent in place of what came).
//!
//! The fuzz targets run shortly with the tests. `FULCRUM_FUZZ_SECONDS=600 cargo test --release -p
//! http1 --test fuzz` runs each for ten minutes.
#![forbid(unsafe_code)]

mod address;
mod body;
pub mod chunked;
mod connection;
mod cookie;
mod edit;
mod exchange;
mod fields;
mod framing;
mod limits;
mod line;
mod name;
mod refusal;
mod request;
mod response;
mod target;
mod token;
mod write;

pub use address::AddressText;
pub use body::{Body, Progress};
pub use cookie::SetCookie;
pub use edit::{
    Authority, Change, ClientAddress, FieldName, FieldValue, NotAField, PathAndQuery, Record,
    RequestEdits, ResponseEdits,
};
pub use exchange::{Answered, Closed, Exchange, Outcome, Step};
pub use fields::{Field, Fields, MAX_FIELDS, Span};
pub use framing::BodyFraming;
pub use limits::Limits;
pub use name::Known;
pub use refusal::{Fault, Reason, Refusal};
pub use request::{Method, Parsed, RequestHead, Version};
pub use response::ResponseHead;
