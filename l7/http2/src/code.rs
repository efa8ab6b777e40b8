//! Error codes (RFC 9113 section 7).

/// Why a stream or a connection ends, as RST_STREAM and GOAWAY say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(pub u32);

impl Code {
    /// Nothing is wrong.
    pub const NO_ERROR: Code = Code(0x0);
    /// The peer broke a rule that has no code of its own.
    pub const PROTOCOL_ERROR: Code = Code(0x1);
    /// Our own fault.
    pub const INTERNAL_ERROR: Code = Code(0x2);
    /// More octets than a window allowed, or a window beyond 2^31 - 1.
    pub const FLOW_CONTROL_ERROR: Code = Code(0x3);
    /// SETTINGS were not acknowledged in time.
    pub const SETTINGS_TIMEOUT: Code = Code(0x4);
    /// A frame on a stream that is closed.
    pub const STREAM_CLOSED: Code = Code(0x5);
    /// A frame of a wrong size.
    pub const FRAME_SIZE_ERROR: Code = Code(0x6);
    /// Nothing was done with the stream: the request may be sent again.
    pub const REFUSED_STREAM: Code = Code(0x7);
    /// The stream is not needed any more.
    pub const CANCEL: Code = Code(0x8);
    /// A field section that cannot be decoded.
    pub const COMPRESSION_ERROR: Code = Code(0x9);
    /// The connection behind a CONNECT failed.
    pub const CONNECT_ERROR: Code = Code(0xa);
    /// Too much work for too little use.
    pub const ENHANCE_YOUR_CALM: Code = Code(0xb);
    /// The transport is not safe enough.
    pub const INADEQUATE_SECURITY: Code = Code(0xc);
    /// Ask by HTTP/1.1.
    pub const HTTP_1_1_REQUIRED: Code = Code(0xd);
}
