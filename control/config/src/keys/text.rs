//! Strings of a certain form.
//!
//! A pattern refuses nothing that the reader takes; where a form has more to it than a pattern can
//! say (addresses that are no host's, ranges that overlap), only the reader refuses. The patterns
//! keep to what ECMA 262 and every other dialect have in common.

/// The form of a string.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// Its name in the schema; no two share one.
    pub name: &'static str,
    /// What it is, in Markdown.
    pub help: &'static str,
    /// An expression that the whole string matches.
    pub pattern: &'static str,
    /// Most characters, where there is a limit that the pattern does not say.
    pub longest: Option<usize>,
}

// Parts of patterns. Numbers in ports and prefix lengths may have leading zeros, bytes of IPv4
// addresses may not.
macro_rules! v4 {
    () => {
        "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(\\.(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])){3}"
    };
}
macro_rules! v6 {
    () => {
        "(::|[0-9A-Fa-f]{1,4}:)[0-9A-Fa-f:.]*"
    };
}
macro_rules! port {
    () => {
        "0*(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
    };
}
macro_rules! range {
    () => {
        concat!("\\s*", port!(), "\\s*(-\\s*", port!(), "\\s*)?")
    };
}

/// The name of a field of HTTP.
pub static FIELD_NAME: Text = Text {
    name: "field-name",
    help: "the name of a field of HTTP, 1 to 64 letters, digits and `-`",
    pattern: "^[0-9A-Za-z-]{1,64}$",
    longest: None,
};

/// The value of a field of HTTP.
pub static FIELD_VALUE: Text = Text {
    name: "field-value",
    help: "the value of a field of HTTP, plain ASCII",
    pattern: "^[!-~]([ -~]{0,254}[!-~])?$",
    longest: None,
};

/// Where an access log goes.
pub static LOG_TARGET: Text = Text {
    name: "log-target",
    help: "the absolute path of a file, `udp://ADDRESS:PORT`, or `unix:PATH`",
    pattern: "^(/[^\\x00]+|udp://[0-9A-Fa-f:.%\\[\\]]+|unix:/[^\\x00]+)$",
    longest: Some(4_095),
};

/// An error page.
pub static PAGE: Text =
    Text { name: "page", help: "1 to 65,536 bytes", pattern: "^[\\s\\S]+$", longest: Some(65_536) };

/// The name of a cookie.
pub static COOKIE: Text = Text {
    name: "cookie",
    help: "the name of a cookie, 1 to 64 characters",
    pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$",
    longest: None,
};

/// An application protocol.
pub static PROTOCOL_ID: Text = Text {
    name: "protocol-id",
    help: "an ALPN protocol, such as `\"h2\"` or `\"http/1.1\"`",
    pattern: "^[!-~]{1,64}$",
    longest: None,
};

/// A SHA-256.
pub static FINGERPRINT: Text = Text {
    name: "fingerprint",
    help: "64 hexadecimal digits, with or without colons between pairs",
    pattern: "^[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}$",
    longest: None,
};

/// The name of a host.
pub static HOST_NAME: Text = Text {
    name: "host-name",
    help: "the name of a host in ASCII, such as `\"portal.example.com\"`",
    pattern: "^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*$",
    longest: Some(253),
};

/// A name of ours.
pub static NAME: Text = Text {
    name: "name",
    help: "1 to 64 letters, digits and `_ - .`",
    pattern: "^[A-Za-z0-9_.-]{1,64}$",
    longest: None,
};

/// The name of an interface of the kernel.
pub static INTERFACE_NAME: Text = Text {
    name: "interface-name",
    help: "1 to 15 letters, digits and `_ - .`; not `lo`, `all` or `default`",
    pattern: "^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,14}$",
    longest: None,
};

/// A device that the data plane drives.
pub static DEVICE: Text = Text {
    name: "device",
    help: "a PCI address such as `\"0000:03:00.0\"`, a VMBus UUID, or `\"driver:argument\"` for a \
           virtual device of DPDK",
    pattern: "^(([0-9A-Fa-f]{4}:)?[0-9A-Fa-f]{2}:[01][0-9A-Fa-f]\\.[0-7]\
              |[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\
              |[a-z][a-z0-9_]{0,31}(:[^\\x00-\\x20\\x7f]*)?)$",
    longest: Some(256),
};

/// An address of one host.
pub static HOST_ADDRESS: Text = Text {
    name: "host-address",
    help: "an IPv4 or IPv6 address of one host",
    pattern: concat!("^(", v4!(), "|", v6!(), ")$"),
    longest: None,
};

/// Any address.
pub static ADDRESS: Text = Text {
    name: "address",
    help: "an IPv4 or IPv6 address",
    pattern: concat!("^(", v4!(), "|", v6!(), ")$"),
    longest: None,
};

/// An address of ours with its prefix length.
pub static PREFIX: Text = Text {
    name: "prefix",
    help: "an address with its prefix length, such as `\"192.168.100.10/24\"`",
    pattern: concat!(
        "^(",
        v4!(),
        "/0*(3[0-2]|[12]?[0-9])|",
        v6!(),
        "/0*(12[0-8]|1[01][0-9]|[1-9]?[0-9]))$"
    ),
    longest: None,
};

/// An Ethernet address of one station.
pub static MAC: Text = Text {
    name: "mac",
    help: "six bytes in hexadecimal, such as `\"02:00:00:00:01:10\"`; no group address",
    pattern: "^[0-9A-Fa-f][02468ACEace]([:-][0-9A-Fa-f]{2}){5}$",
    longest: None,
};

/// Ports of a service.
pub static PORTS: Text = Text {
    name: "ports",
    help: "ports and ranges of them, such as `\"80\"`, `\"80,443\"` or `\"21,5000-5100\"`, at most \
           256; or `\"all\"`",
    pattern: concat!("^(\\s*all\\s*|", range!(), "(,", range!(), "){0,255})$"),
    longest: None,
};

/// An address to listen on.
pub static LISTENER: Text = Text {
    name: "listener",
    help: "an address with or without a port, such as `\"0.0.0.0:9443\"` or `\"[::]:9443\"`; \
           without one it is port 9443",
    pattern: concat!(
        "^(",
        v4!(),
        "(:",
        port!(),
        ")?|",
        v6!(),
        "|\\[",
        v6!(),
        "(%[0-9]+)?\\]:",
        port!(),
        ")$"
    ),
    longest: None,
};

/// A server to send to.
pub static SYSLOG_SERVER: Text = Text {
    name: "syslog-server",
    help: "an address with or without a port, such as `\"192.0.2.9:514\"` or \
           `\"[2001:db8::9]:514\"`; without one it is port 514 for `\"udp\"` and 601 for `\"tcp\"`",
    pattern: concat!(
        "^(",
        v4!(),
        "(:",
        port!(),
        ")?|",
        v6!(),
        "|\\[",
        v6!(),
        "(%[0-9]+)?\\]:",
        port!(),
        ")$"
    ),
    longest: None,
};

/// One of the sources of SNAT.
pub static POOL_ENTRY: Text = Text {
    name: "pool-entry",
    help: "an address with or without ports, such as `\"10.0.0.5\"`, `\"10.0.0.6:10000-20000\"` or \
           `\"[2001:db8::6]:2000\"`",
    pattern: concat!(
        "^(",
        v4!(),
        "(:",
        range!(),
        ")?|",
        v6!(),
        "|\\[(",
        v4!(),
        "|",
        v6!(),
        ")\\](:",
        range!(),
        ")?)$"
    ),
    longest: None,
};

/// An argument of a program.
pub static ARGUMENT: Text = Text {
    name: "argument",
    help: "one argument of a program",
    pattern: "^[^\\x00]+$",
    longest: None,
};

/// What a request asks for.
pub static REQUEST_PATH: Text = Text {
    name: "request-path",
    help: "a path with or without a query, such as `\"/health?full=1\"`, at most 2,048 characters; \
           or `\"*\"`",
    pattern: "^(/[!\"$-~]*|\\*)$",
    longest: Some(2_048),
};

/// The header of a request.
pub static HOST: Text = Text {
    name: "host",
    help: "a host's name or address, with or without a port",
    pattern: "^[A-Za-z0-9._:\\[\\]-]{1,255}$",
    longest: None,
};

/// Part of an answer.
pub static BODY: Text =
    Text { name: "body", help: "1 to 1,024 bytes", pattern: "^[\\s\\S]+$", longest: Some(1_024) };

/// A file of this machine.
pub static FILE: Text = Text {
    name: "file",
    help: "the absolute path of a file",
    pattern: "^/[^\\x00]*$",
    longest: None,
};

/// A domain name.
pub static DOMAIN: Text = Text {
    name: "domain",
    help: "a domain name in ASCII, or `\".\"` for the root",
    pattern: "^(\\.|[A-Za-z0-9_-]{1,63}(\\.[A-Za-z0-9_-]{1,63})*\\.?)$",
    longest: Some(253),
};

/// The path, or the begin of one, that a rule asks for.
pub static RULE_PATH: Text = Text {
    name: "rule-path",
    help: "a path, or the begin of one, without a query",
    pattern: "^/[^\\x00-\\x1f\\x7f?]*$",
    longest: Some(1_024),
};

/// Part of a path that a rule asks for.
pub static PATH_PART: Text = Text {
    name: "path-part",
    help: "part of a path, without a query",
    pattern: "^[^\\x00-\\x1f\\x7f?]+$",
    longest: Some(1_024),
};

/// The begin of a path as it is written in a request.
pub static PATH_BEGIN: Text = Text {
    name: "path-begin",
    help: "the begin of a path, percent-encoded, without a query",
    pattern: "^/[!\"$->@-~]*$",
    longest: Some(1_024),
};

/// A host that a rule asks for, or part of its name.
pub static RULE_HOST: Text = Text {
    name: "rule-host",
    help: "a host's name or part of it, or an IPv6 address in brackets; without a port",
    pattern: "^([A-Za-z0-9._-]{1,255}|\\[[0-9A-Fa-f:.]{2,45}\\])$",
    longest: None,
};

/// A method.
pub static METHOD: Text = Text {
    name: "method",
    help: "a method in capitals, such as `\"POST\"`",
    pattern: "^[!#$%&'*+.^_`|~0-9A-Z-]{1,32}$",
    longest: None,
};

/// A query.
pub static QUERY: Text = Text {
    name: "query",
    help: "a query or part of it, percent-encoded, without the question mark",
    pattern: "^[!\"$-~]+$",
    longest: Some(1_024),
};

/// The name of a header, a parameter or a cookie.
pub static MATCH_NAME: Text = Text {
    name: "match-name",
    help: "a name of 1 to 256 characters",
    pattern: "^[!-%'-:<>-~]{1,256}$",
    longest: None,
};

/// A value that a rule asks for.
pub static VALUE: Text = Text {
    name: "value",
    help: "1 to 1,024 characters of a value",
    pattern: "^[^\\x00-\\x08\\x0a-\\x1f\\x7f]+$",
    longest: Some(1_024),
};

/// A network or one address.
pub static NETWORK: Text = Text {
    name: "network",
    help: "an address with or without a prefix length, such as `\"10.0.0.0/8\"`",
    pattern: concat!(
        "^(",
        v4!(),
        "(/0*(3[0-2]|[12]?[0-9]))?|",
        v6!(),
        "(/0*(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?)$"
    ),
    longest: None,
};

/// Where a redirect leads to.
pub static LOCATION: Text = Text {
    name: "location",
    help: "a path or a URL, percent-encoded, with words of the request in braces",
    pattern: "^(/|https?://|\\{scheme\\}://|\\{path\\})[!-~]*$",
    longest: Some(2_048),
};

/// A path for the real server.
pub static REWRITE: Text = Text {
    name: "rewrite",
    help: "a path, percent-encoded, without a query, with words of the request in braces",
    pattern: "^(/|\\{path\\})[!\"$->@-~]*$",
    longest: Some(2_048),
};

/// The name of a header.
pub static HEADER_NAME: Text = Text {
    name: "header-name",
    help: "the name of a header, 1 to 256 characters",
    pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$",
    longest: None,
};

/// The value of a header.
pub static HEADER_VALUE: Text = Text {
    name: "header-value",
    help: "1 to 2,048 characters of ASCII",
    pattern: "^[ -~]+$",
    longest: Some(2_048),
};

/// A protocol to change to.
pub static UPGRADE: Text = Text {
    name: "upgrade",
    help: "the name of a protocol, such as `\"websocket\"`; not `h2c`",
    pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}(/[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64})?$",
    longest: None,
};
