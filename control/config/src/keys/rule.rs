//! `[[service.rule]]` and its small tables.

use super::{Key, Kind, Object, integer, text};
use crate::rule::MAX_RULES;

/// `[[service.rule]]` of a service.
pub(super) const RULES: Kind = Kind::Tables { of: &RULE, most: MAX_RULES };

/// Most words of one condition, or headers of one action.
pub(super) const MOST: usize = 256;

/// One of a form, or several in brackets.
macro_rules! one_or_more {
    ($kind:expr) => {
        Kind::Either(&[$kind, Kind::List { of: &$kind, least: 1, most: MOST }])
    };
}

/// A table, or several in brackets.
macro_rules! tables {
    ($object:expr) => {
        Kind::Either(&[Kind::Table(&$object), Kind::Tables { of: &$object, most: MOST }])
    };
}

/// The keys that `[[service.rule]]` and `not` share, with others around them.
macro_rules! with_conditions {
    ([$($before:expr,)*] [$($behind:expr,)*]) => {
        &[
            $($before,)*
            Key::optional("path", one_or_more!(Kind::Text(&text::RULE_PATH)), "any")
                .example("\"/index.html\"")
                .help("The path, without the query; decoded, with `..`, `.` and `//` resolved."),
            Key::optional("path_begins", one_or_more!(Kind::Text(&text::RULE_PATH)), "any")
                .example("[\"/api/\", \"/v2/\"]")
                .help("How the path begins."),
            Key::optional("path_ends", one_or_more!(Kind::Text(&text::PATH_PART)), "any")
                .example("[\".png\", \".jpg\"]")
                .help("How the path ends."),
            Key::optional("path_contains", one_or_more!(Kind::Text(&text::PATH_PART)), "any")
                .example("\"/private/\"")
                .help("What is in the path."),
            Key::optional("host", one_or_more!(Kind::Text(&text::RULE_HOST)), "any")
                .example("\"shop.example.com\"")
                .help("The host that was asked for, without the port, in any case."),
            Key::optional("host_begins", one_or_more!(Kind::Text(&text::RULE_HOST)), "any")
                .example("\"www.\"")
                .help("How the host begins."),
            Key::optional("host_ends", one_or_more!(Kind::Text(&text::RULE_HOST)), "any")
                .example("\".example.com\"")
                .help("How the host ends."),
            Key::optional("method", one_or_more!(Kind::Text(&text::METHOD)), "any")
                .example("[\"GET\", \"HEAD\"]")
                .help("The method."),
            Key::optional("scheme", Kind::Word(SCHEMES), "any")
                .example("\"http\"")
                .help("How the client came."),
            Key::optional("query", one_or_more!(Kind::Text(&text::QUERY)), "any")
                .example("\"full=1\"")
                .help("The whole query, without the question mark, as it was sent."),
            Key::optional("query_contains", one_or_more!(Kind::Text(&text::QUERY)), "any")
                .example("\"debug\"")
                .help("What is in the query."),
            Key::optional("parameter", tables!(MATCH), "any")
                .example("{ name = \"version\", is = \"2\" }")
                .help("A parameter of the query, as it was sent; of several tables, all must be met."),
            Key::optional("header", tables!(MATCH), "any")
                .example("{ name = \"User-Agent\", contains = [\"bot\", \"crawler\"] }")
                .help("A header; of several lines of it one is enough, of several tables all must be met."),
            Key::optional("cookie", tables!(MATCH), "any")
                .example("{ name = \"beta\" }")
                .help("A cookie; of several tables, all must be met."),
            Key::optional("source", one_or_more!(Kind::Text(&text::NETWORK)), "any")
                .example("[\"10.0.0.0/8\", \"2001:db8::/32\"]")
                .help("Where the client's address is."),
            $($behind,)*
        ]
    };
}

/// `[[service.rule]]`
pub static RULE: Object = Object {
    name: "rule",
    heading: "`[[service.rule]]`",
    help: "What is done with requests, in mode `l7-http`. A request that meets every condition of \
           a rule (each has one value, or several of which one is enough) gets all that the rule \
           does. Rules are looked at in their order, each by the request as the client sent it. \
           The first that answers (`deny`, `redirect`, `force_https`) ends it; of several that \
           choose `servers`, or another path, the last prevails.",
    keys: with_conditions![
        [
            Key::optional("name", Kind::Text(&text::NAME), "none")
                .example("\"api\"")
                .help("Its name, in what is said of it."),
        ]
        [
            Key::optional("not", Kind::Table(&NOT), "nothing is excepted")
                .example("{ source = \"10.0.0.0/8\" }")
                .help("Conditions of which none may be met."),
            Key::optional("deny", integer(400, 599, ""), "it is not denied")
                .example("403")
                .help("The status of an error page in place of the server's answer."),
            Key::optional("redirect", Kind::Text(&text::LOCATION), "it is not redirected")
                .example("\"https://www.example.com{path}{query}\"")
                .help("Where the client is sent in place of the server's answer; words in braces are those of the request."),
            Key::with_default("force_https", Kind::Boolean, "false")
                .example("true")
                .help("Whether who came without TLS is redirected to the same page with it, on port 443."),
            Key::with_default("status", integer(301, 308, ""), "302")
                .example("301")
                .help("The status of `redirect` and `force_https`: 301, 302, 303, 307 or 308."),
            Key::optional("servers", SERVERS, "any")
                .example("[\"A1\"]")
                .help("The only real servers, by their names, that may take the request."),
            Key::optional("rewrite", Kind::Text(&text::REWRITE), "the path stays")
                .example("\"/shop{path}\"")
                .help("The path that the real server is asked for; the query stays, and words in braces are those of the request."),
            Key::optional("rewrite_prefix", Kind::Table(&REWRITE_PREFIX), "the path stays")
                .example("{ from = \"/api/\", to = \"/\" }")
                .help("Another begin of the path, where it has this one."),
            Key::optional("set_header", tables!(HEADER), "none")
                .example("{ name = \"X-Real-IP\", value = \"{client}\" }")
                .help("A header of the request, in place of all of that name; words in braces are those of the request."),
            Key::optional("add_header", tables!(HEADER), "none")
                .example("{ name = \"X-Via\", value = \"{scheme}\" }")
                .help("One more header of the request; words in braces are those of the request."),
            Key::optional("delete_header", one_or_more!(Kind::Text(&text::HEADER_NAME)), "none")
                .example("\"X-Debug\"")
                .help("Headers that the request loses."),
            Key::optional("replace_header", tables!(REPLACE), "none")
                .example("{ name = \"Referer\", find = \"https://\", with = \"http://\" }")
                .help("Other words in a header of the request."),
            Key::optional("set_response_header", tables!(HEADER), "none")
                .example("{ name = \"X-Frame-Options\", value = \"DENY\" }")
                .help("A header of the response, in place of all of that name."),
            Key::optional("add_response_header", tables!(HEADER), "none")
                .example("{ name = \"Cache-Control\", value = \"no-store\" }")
                .help("One more header of the response."),
            Key::optional("delete_response_header", one_or_more!(Kind::Text(&text::HEADER_NAME)), "none")
                .example("[\"Server\", \"X-Powered-By\"]")
                .help("Headers that the response loses."),
            Key::optional("replace_response_header", tables!(REPLACE), "none")
                .example("{ name = \"Location\", find = \"http://\", with = \"https://\" }")
                .help("Other words in a header of the response."),
            Key::optional("hsts", Kind::Table(&HSTS), "none")
                .example("{ max_age = \"365d\" }")
                .help("Strict-Transport-Security (RFC 6797) on responses that are sent over TLS."),
        ]
    ],
    example: "\
[[service.rule]]
name = \"api\"
path_begins = [\"/api/\", \"/v2/\"]
not = { source = \"10.0.0.0/8\" }
set_header = { name = \"X-Real-IP\", value = \"{client}\" }
delete_response_header = \"Server\"

[[service.rule]]
host = \"old.example.com\"
redirect = \"https://www.example.com{path}{query}\"
status = 301
",
};

const SERVERS: Kind = Kind::List { of: &Kind::Text(&text::NAME), least: 1, most: MOST };
const SCHEMES: &[(&str, &str)] = &[("http", "without TLS"), ("https", "with TLS")];

/// `rule.not`
pub static NOT: Object = Object {
    name: "not",
    heading: "`not` of a rule",
    help: "Conditions of which none may be met, written as those of the rule itself.",
    keys: with_conditions![[][]],
    example: "\
not = { path = \"/login\", source = [\"10.0.0.0/8\"] }
",
};

/// `header`, `parameter` and `cookie` of conditions
pub static MATCH: Object = Object {
    name: "match",
    heading: "`header`, `parameter` or `cookie` of a rule",
    help: "A part of a request that has a name. With nothing but the name it has to be there.",
    keys: &[
        Key::required("name", Kind::Text(&text::MATCH_NAME), "\"X-Env\"").help("Its name."),
        Key::optional("is", one_or_more!(Kind::Text(&text::VALUE)), "any")
            .example("\"test\"")
            .help("What it is, octet by octet."),
        Key::optional("begins", one_or_more!(Kind::Text(&text::VALUE)), "any")
            .example("\"te\"")
            .help("How it begins."),
        Key::optional("ends", one_or_more!(Kind::Text(&text::VALUE)), "any")
            .example("\"st\"")
            .help("How it ends."),
        Key::optional("contains", one_or_more!(Kind::Text(&text::VALUE)), "any")
            .example("[\"es\", \"ro\"]")
            .help("What is in it."),
    ],
    example: "\
header = [{ name = \"X-Env\", is = \"test\" }, { name = \"User-Agent\", contains = \"curl\" }]
",
};

/// `rule.rewrite_prefix`
pub static REWRITE_PREFIX: Object = Object {
    name: "rewrite_prefix",
    heading: "`rewrite_prefix` of a rule",
    help: "Another begin of the path.",
    keys: &[
        Key::required("from", Kind::Text(&text::PATH_BEGIN), "\"/api/\"")
            .help("The begin that it has to have."),
        Key::required("to", Kind::Text(&text::PATH_BEGIN), "\"/\"").help("What takes its place."),
    ],
    example: "\
rewrite_prefix = { from = \"/api/\", to = \"/\" }
",
};

/// `rule.set_header` and its like
pub static HEADER: Object = Object {
    name: "header",
    heading: "`set_header` or `add_header` of a rule",
    help: "A header to write. In a request's the value may hold `{scheme}`, `{host}` (without the \
           port), `{port}` (with its colon, or nothing), `{path}`, `{query}` (with its question \
           mark, or nothing) and `{client}` (an address); `{{` and `}}` are braces. The same goes \
           for `redirect` and `rewrite`.",
    keys: &[
        Key::required("name", Kind::Text(&text::HEADER_NAME), "\"X-Real-IP\"")
            .help("Its name; none of those that frame the message or belong to the connection."),
        Key::required("value", Kind::Text(&text::HEADER_VALUE), "\"1\"").help("Its value."),
    ],
    example: "\
set_header = { name = \"X-Original\", value = \"{scheme}://{host}{port}{path}{query}\" }
",
};

/// `rule.replace_header` and `rule.replace_response_header`
pub static REPLACE: Object = Object {
    name: "replace",
    heading: "`replace_header` or `replace_response_header` of a rule",
    help: "Other words in a header.",
    keys: &[
        Key::required("name", Kind::Text(&text::HEADER_NAME), "\"Location\"").help("Its name."),
        Key::required("find", Kind::Text(&text::HEADER_VALUE), "\"http://\"")
            .help("What is looked for: plain text, everywhere in the value."),
        Key::optional("with", Kind::Text(&text::HEADER_VALUE), "nothing")
            .example("\"https://\"")
            .help("What takes its place each time."),
    ],
    example: "\
replace_header = { name = \"Referer\", find = \"https://\", with = \"http://\" }
",
};

/// `rule.hsts`
pub static HSTS: Object = Object {
    name: "hsts",
    heading: "`hsts` of a rule",
    help: "What browsers are told about coming with TLS alone.",
    keys: &[
        Key::with_default(
            "max_age",
            Kind::Duration { least_ms: 1_000, whole_seconds: true },
            "\"365d\"",
        )
        .help("How long they keep to it."),
        Key::with_default("include_subdomains", Kind::Boolean, "false")
            .help("Whether it is for the host's subdomains as well."),
        Key::with_default("preload", Kind::Boolean, "false")
            .help("Whether browsers may have it built in."),
    ],
    example: "\
hsts = { max_age = \"30d\", include_subdomains = true }
",
};
