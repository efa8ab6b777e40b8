//! What is said about wrong files: line, key, what is wrong, what to write.

mod common;

use common::{Validator, as_json};
use config::{Finding, Findings, parse};

/// A file without a fault. Cases replace lines of it, by number.
const GOOD: &str = r#"[node]
name = "lb1"

[[interface]]
name = "eth0"
port = "af_packet:lb0"
addresses = ["192.168.100.10/24"]
gateway = "192.168.100.1"

[[service]]
name = "WEB"
mode = "l4-dr"
address = "192.168.100.100"
ports = "80"
check = { type = "connect", port = 80 }

[[service.real_server]]
name = "WEB1"
address = "192.168.100.110"
weight = 100

[[service]]
name = "API"
mode = "l4-snat"
address = "192.168.100.101"
ports = "443"

[[service.real_server]]
name = "API1"
address = "192.168.100.120"
port = 8443
"#;

/// Lines to replace, then the one finding: line, key, part of `what`, part of `write`.
type Case = (&'static [(usize, &'static str)], usize, &'static str, &'static str, &'static str);

const WEB1: &str = "service[WEB].real_server[WEB1]";

#[rustfmt::skip]
const ERRORS: &[Case] = &[
    // TOML itself
    (&[(14, "ports = ")], 14, "ports", "not TOML", "TOML, such as"),
    (&[(14, "ports = \"80")], 14, "ports", "not TOML", "TOML, such as"),
    (&[(20, "name = \"WEB2\"")], 20, "name", "duplicate key", "each key once"),
    // the format's version
    (&[(1, "version = 2\n[node]")], 1, "version", "version 2, newer than this release", "a file of version 1"),
    (&[(1, "version = 99999999999999999999\n[nodes]")], 1, "version", "newer than this release", "a file of version 1"),
    (&[(1, "version = 0\n[node]")], 1, "version", "0 is out of range", "1 to 1"),
    (&[(1, "version = \"1\"\n[node]")], 1, "version", "an integer is wanted", "version = 1"),
    // keys and types
    (&[(20, "wieght = 100")], 20, "service[WEB].real_server[WEB1].wieght", "unknown key", "weight (did you mean that?)"),
    (&[(3, "colour = 1")], 3, "node.colour", "unknown key", "one of name"),
    (&[(15, "check = { prt = 80 }")], 15, "service[WEB].check.prt", "unknown key", "port (did you mean that?)"),
    (&[(3, "[[interfaces]]")], 3, "interfaces", "unknown key", "interface (did you mean that?)"),
    (&[(14, "ports = 80")], 14, "service[WEB].ports", "is an integer, a string is wanted", "ports = \"80,443\""),
    (&[(20, "weight = \"100\"")], 20, "service[WEB].real_server[WEB1].weight", "is a string, an integer is wanted", "weight = 100"),
    (&[(8, "gateway = { via = \"192.168.100.1\" }")], 8, "interface[eth0].gateway", "is a table, a string is wanted", "gateway = "),
    (&[(15, "check = \"connect\"")], 15, "service[WEB].check", "is a string, a table is wanted", "check = {"),
    (&[(13, "")], 10, "service[WEB].address", "address is missing", "address = \"192.168.100.100\""),
    (&[(11, "")], 10, "service[#1].name", "name is missing", "name = \"ICA_WEB\""),
    (&[(6, "")], 4, "interface[eth0].port", "port is missing", "port = "),
    // values
    (&[(14, "ports = \"80,99999\"")], 14, "service[WEB].ports", "99999 is not a port number", "1 to 65535"),
    (&[(14, "ports = \"5100-5000\"")], 14, "service[WEB].ports", "runs backwards", "\"5000-5100\""),
    (&[(14, "ports = \"80,70-90\"")], 14, "service[WEB].ports", "ports in common", "each port once"),
    (&[(14, "ports = \"http\"")], 14, "service[WEB].ports", "is not a port or a range", "\"80,443\""),
    (&[(14, "ports = \"80\"\nprotocol = \"icmp\"")], 15, "service[WEB].protocol", "\"icmp\" is not known", "\"tcp\", \"udp\", \"tcp+udp\""),
    (&[(14, "ports = \"80\"\nscheduler = \"wcl\"")], 15, "service[WEB].scheduler", "\"wcl\" is not known", "\"wlc\" (did you mean that?)"),
    (&[(12, "mode = \"dr\"")], 12, "service[WEB].mode", "\"dr\" is not known", "\"l4-dr\""),
    (&[(12, "mode = \"l7-http\""), (15, "http = { cookie = \"a b\" }")], 15, "service[WEB].http.cookie", "is no name of a cookie", "\"SERVER\""),
    (&[(12, "mode = \"l7-http\""), (15, "http = { head_timeout = \"90d\" }")], 15, "service[WEB].http.head_timeout", "too long for layer 7", "at most"),
    (&[(12, "mode = \"l7-tcp\""), (15, "http = { max_body = 1 }")], 15, "service[WEB].http", "only a service with mode = \"l7-http\" has http", "leave http out"),
    (&[(13, "address = \"192.168.100.300\"")], 13, "service[WEB].address", "is not an IP address", "192.168.100.100"),
    (&[(13, "address = \"192.168.100.100/24\"")], 13, "service[WEB].address", "has a prefix length", "the address alone"),
    (&[(13, "address = \"224.0.0.1\"")], 13, "service[WEB].address", "a multicast address", "the address of one host"),
    (&[(13, "address = \"::ffff:10.0.0.1\"")], 13, "service[WEB].address", "IPv4 address in IPv6 clothes", "\"10.0.0.1\""),
    (&[(20, "weight = 65536")], 20, "service[WEB].real_server[WEB1].weight", "65536 is out of range", "0 to 65535"),
    (&[(20, "weight = -1")], 20, "service[WEB].real_server[WEB1].weight", "-1 is out of range", "0 to 65535"),
    (&[(20, "slow_start = \"5\"")], 20, "service[WEB].real_server[WEB1].slow_start", "has no unit", "ms, s, m, h, d"),
    (&[(20, "slow_start = \"5 min\"")], 20, "service[WEB].real_server[WEB1].slow_start", "is not a unit of time", "ms, s, m, h, d"),
    (&[(20, "state = \"paused\"")], 20, "service[WEB].real_server[WEB1].state", "\"paused\" is not known", "\"online\", \"drain\", \"halt\""),
    (&[(20, "max_connections = 5\nmin_connections = 6")], 21, "service[WEB].real_server[WEB1].min_connections", "more than max_connections", "at most 5"),
    (&[(14, "ports = \"80\"\ntimeouts = { tcp_established = \"0s\" }")], 15, "service[WEB].timeouts.tcp_established", "zero", "at least \"1s\""),
    (&[(14, "ports = \"80\"\ntimeouts = { udp = \"1500ms\" }")], 15, "service[WEB].timeouts.udp", "whole number of seconds", "\"1s\""),
    (&[(14, "ports = \"80\"\npersistence = { by = \"source-ip\", mask = 33 }")], 15, "service[WEB].persistence.mask", "33 is out of range", "0 to 32"),
    (&[(14, "ports = \"80\"\npersistence = { by = \"source-ip\", mask = \"255.255.255.0\" }")], 15, "service[WEB].persistence.mask", "a prefix length is wanted", "mask = 24"),
    (&[(14, "ports = \"80\"\npersistence = { by = \"source-ip\", mask6 = 129 }")], 15, "service[WEB].persistence.mask6", "129 is out of range", "0 to 128"),
    (&[(14, "ports = \"80\"\npersistence = { by = \"cookie\" }")], 15, "service[WEB].persistence.by", "a key of http", "http = { cookie"),
    (&[(14, "ports = \"80\"\npersistence = { by = \"rdp-cookie\" }")], 15, "service[WEB].persistence.by", "mode l4-dr does not look", "mode = \"l7-tcp\""),
    (&[(12, "mode = \"l7-http\""), (14, "ports = \"80\"\npersistence = { by = \"tls-session\" }")], 15, "service[WEB].persistence.by", "mode l7-http does not look", "mode = \"l7-tcp\" without tls"),
    (&[(12, "mode = \"l7-tcp\""), (14, "ports = \"80\"\ntls = { certificates = [\"a\"] }\npersistence = { by = \"tls-session\" }")], 16, "service[WEB].persistence.by", "TLS ends here", "leave tls out"),
    (&[(12, "mode = \"l7-tcp\""), (14, "ports = \"80\"\npersistence = { by = \"app-cookie\", cookie = \"SID\" }")], 15, "service[WEB].persistence.by", "only requests have cookies", "mode = \"l7-http\""),
    (&[(12, "mode = \"l7-http\""), (14, "ports = \"80\"\npersistence = { by = \"app-cookie\" }")], 15, "service[WEB].persistence.by", "the name of the cookie is missing", "cookie = \"JSESSIONID\""),
    (&[(12, "mode = \"l7-http\""), (14, "ports = \"80\"\npersistence = { by = \"source-ip\", cookie = \"SID\" }")], 15, "service[WEB].persistence.cookie", "only persistence by \"app-cookie\"", "by = \"app-cookie\""),
    (&[(12, "mode = \"l7-tcp\""), (14, "ports = \"80\"\npersistence = { by = \"rdp-cookie\", mask = 24 }")], 15, "service[WEB].persistence.mask", "not known by their addresses", "by = \"source-ip\""),
    (&[(12, "mode = \"l7-tcp\""), (14, "ports = \"80\"\npersistence = { by = \"rdp-cookie\", entries = 0 }")], 15, "service[WEB].persistence.entries", "0 is out of range", "1 to 262144"),
    (&[(12, "mode = \"l7-tcp\""), (14, "ports = \"80\"\nretry_pause = \"90d\"")], 15, "service[WEB].retry_pause", "too long for layer 7", "at most"),
    (&[(14, "ports = \"80\"\npersistence = { by = \"x-forwarded-for\" }")], 15, "service[WEB].persistence.by", "only requests have X-Forwarded-For", "mode = \"l7-http\""),
    (&[(14, "ports = \"80\"\npersistence = { timeout = \"5m\" }")], 15, "service[WEB].persistence.by", "by is missing", "by = \"source-ip\""),
    (&[(14, "ports = \"80\"\non_failure = \"panic\"")], 15, "service[WEB].on_failure", "\"panic\" is not known", "\"reset\", \"move\", \"keep\""),
    (&[(14, "ports = \"80\"\nfallback = \"remote\"")], 15, "service[WEB].fallback", "\"remote\" is not known", "\"local\", \"none\""),
    (&[(15, "check = { type = \"smtp\" }")], 15, "service[WEB].check.type", "comes in a later version", "\"connect\""),
    (&[(15, "check = { interval = \"0s\" }")], 15, "service[WEB].check.interval", "zero", "at least \"10ms\""),
    (&[(15, "check = { fall = 0 }")], 15, "service[WEB].check.fall", "0 is out of range", "1 to 1000"),
    (&[(15, "check = { source = \"192.168.100.99\" }")], 15, "service[WEB].check.source", "not an address of this balancer", "an address of an interface"),
    // logs and pages of layer 7
    (&[(12, "mode = \"l7-tcp\"\naccess_log = { to = \"web.log\" }")], 13, "service[WEB].access_log.to", "neither an absolute path", "udp://"),
    (&[(12, "mode = \"l7-tcp\"\naccess_log = { to = \"udp://0.0.0.0:514\" }")], 13, "service[WEB].access_log.to", "no address", "udp://192.0.2.1:514"),
    (&[(12, "mode = \"l7-tcp\"\naccess_log = { to = \"/a\", facility = 3 }")], 13, "service[WEB].access_log.facility", "a file has no such thing", "leave it out"),
    (&[(12, "mode = \"l7-tcp\"\naccess_log = { to = \"/a\", format = \"combined\" }")], 13, "service[WEB].access_log.format", "has no requests", "\"json\""),
    (&[(12, "mode = \"l7-http\"\nhttp = { request_id = \"Host\" }")], 13, "service[WEB].http.request_id", "has another meaning", "X-Request-ID"),
    (&[(12, "mode = \"l7-http\"\nhttp = { error_pages = [{ status = 503, body = \"a\" }, { status = 503, body = \"b\" }] }")], 13, "service[WEB].http.error_pages.status", "two pages for status 503", "one page"),
    (&[(12, "mode = \"l7-http\"\nproxy_protocol = \"v2\"\nhttp = { server_protocol = \"h2\" }")], 14, "service[WEB].http.server_protocol", "many share a connection of HTTP/2", "X-Forwarded-For"),
    (&[(12, "mode = \"l7-http\"\nsource = \"client\"\nhttp = { server_protocol = \"h2\" }")], 14, "service[WEB].http.server_protocol", "many share a connection of HTTP/2", "\"http/1.1\""),
    (&[(12, "mode = \"l7-http\"\nhttp = { server_protocol = \"h3\" }")], 13, "service[WEB].http.server_protocol", "\"h3\" is not known", "\"h2\""),
    // layer 7
    (&[(14, "ports = \"80\"\nqueue = { length = 5 }")], 15, "service[WEB].queue", "only a service with mode = \"l7-tcp\"", "leave queue out"),
    (&[(12, "mode = \"l7-tcp\"\ntunnel = {}")], 13, "service[WEB].tunnel", "only a service with mode = \"l4-tun\"", "leave tunnel out"),
    (&[(12, "mode = \"l7-tcp\"\ntimeouts = { udp = \"5s\" }")], 13, "service[WEB].timeouts", "only a service with mode = \"l4-dr\" or", "leave timeouts out"),
    (&[(12, "mode = \"l7-tcp\"\nclient_timeout = \"0s\"")], 13, "service[WEB].client_timeout", "zero", "at least \"1ms\""),
    (&[(12, "mode = \"l7-tcp\"\nserver_timeout = \"31d\"")], 13, "service[WEB].server_timeout", "too long for layer 7", "at most \"30d\""),
    (&[(12, "mode = \"l7-tcp\"\nqueue = { timeout = \"31d\" }")], 13, "service[WEB].queue.timeout", "too long for layer 7", "at most \"30d\""),
    (&[(12, "mode = \"l7-tcp\"\nqueue = { length = 65537 }")], 13, "service[WEB].queue.length", "out of range", "0 to 65536"),
    (&[(12, "mode = \"l7-tcp\"\nretries = 256")], 13, "service[WEB].retries", "out of range", "0 to 255"),
    (&[(12, "mode = \"l7-tcp\"\nproxy_protocol = \"v3\"")], 13, "service[WEB].proxy_protocol", "\"v3\" is not known", "\"v"),
    (&[(12, "mode = \"l7-tcp\"\nsource = \"client\""), (19, "address = \"10.1.1.1\"")], 20, "service[WEB].real_server[WEB1].address", "this node has to be its gateway", "source = \"own\""),
    (&[(7, "addresses = [\"192.168.100.10/24\", \"2001:db8::10/64\"]"), (12, "mode = \"l7-tcp\"\nsource = \"client\""), (19, "address = \"2001:db8::1\"")], 20, "service[WEB].real_server[WEB1].address", "differ in family", "source = \"own\""),
    (&[(12, "mode = \"l7-tcp\"\nsource = \"mine\"")], 13, "service[WEB].source", "\"mine\" is not known", "one of our addresses"),
    (&[(12, "mode = \"l7-tcp\"\nsource = \"192.168.100.99\"")], 13, "service[WEB].source", "not an address of this balancer", "\"own\""),
    (&[(12, "mode = \"l7-tcp\"\nprotocol = \"tcp+udp\"")], 13, "service[WEB].protocol", "is for TCP", "\"tcp\""),
    (&[(12, "mode = \"l7-tcp\"\nscheduler = \"maglev\"")], 13, "service[WEB].scheduler", "no scheduler \"maglev\"", "consistent hash"),
    (&[(12, "mode = \"l7-tcp\"\non_failure = \"move\"")], 13, "service[WEB].on_failure", "cannot move", "\"reset\""),
    (&[(12, "mode = \"l7-tcp\""), (14, "ports = \"all\"")], 14, "service[WEB].ports", "cannot on all", "that clients use"),
    (&[(12, "mode = \"l7-tcp\""), (14, "ports = \"1000-9999\"")], 14, "service[WEB].ports", "at most 8192", "fewer ports"),
    (&[(12, "mode = \"l7-tcp\""), (20, "max_connections = 9\nmin_connections = 5")], 21, "service[WEB].real_server[WEB1].min_connections", "as soon as one is free", "max_connections alone"),
    (&[(12, "mode = \"l7-tcp\"\nsource = \"vip\""), (19, "address = \"2001:db8::1\"")], 20, "service[WEB].real_server[WEB1].address", "differ in family", "source = \"own\""),
    (&[(12, "mode = \"l7-tcp\"\nsource = \"vip\""), (20, "weight = 1\n[[service]]\nname = \"S\"\nmode = \"l4-nat\"\naddress = \"192.168.100.100\"\nports = \"40000\"")], 13, "service[WEB].source", "service S takes ports", "no other service has"),
    (&[(12, "mode = \"l7-tcp\"\nsource = \"vip\""), (20, "weight = 1\n[[service]]\nname = \"S\"\nmode = \"l4-snat\"\naddress = \"192.168.100.101\"\nports = \"40000\"\nsnat_pool = [\"192.168.100.100\"]")], 13, "service[WEB].source", "service S takes ports", "no other service has"),
    // rules
    (&[(15, "rule = [{ deny = 403 }]")], 15, "service[WEB].rule", "only a service with mode = \"l7-http\" has rule", "leave rule out"),
    (&[(12, "mode = \"l7-http\"\nhttp = { servers = [\"WEBB1\"] }")], 13, "service[WEB].http.servers", "no real server \"WEBB1\"", "\"WEB1\" (did you"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\npath = \"admin\"\ndeny = 403")], 22, "service[WEB].rule[#1].path", "paths begin with a slash", "\"/admin\""),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\npath = \"/a?b\"\ndeny = 403")], 22, "service[WEB].rule[#1].path", "has a query", "query or parameter"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\npath_begins = [\"/a\", \"/b//c\"]\ndeny = 403")], 22, "service[WEB].rule[#1].path_begins[1]", "// is resolved before", "resolved"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\npath = []\ndeny = 403")], 22, "service[WEB].rule[#1].path", "names nothing", "path = "),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\nhost = \"a.example:80\"\ndeny = 403")], 22, "service[WEB].rule[#1].host", "has a port", "\"a.example\""),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\nmethod = [\"GET\", \"post\"]\ndeny = 403")], 22, "service[WEB].rule[#1].method[1]", "is no method", "\"POST\""),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\nsource = \"10.0.0.0/33\"\ndeny = 403")], 22, "service[WEB].rule[#1].source", "not a prefix length", "0 to 32"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\nname = \"api\"\nheader = { is = \"x\" }\ndeny = 403")], 23, "service[WEB].rule[api].header.name", "name is missing", "name = "),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\nheader = [{ name = \"A\" }, { name = \"A\", iss = \"x\" }]\ndeny = 403")], 22, "service[WEB].rule[#1].header[1].iss", "unknown key", "is (did you mean that?)"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\nnot = { cookie = { name = \"a b\" } }\ndeny = 403")], 22, "service[WEB].rule[#1].not.cookie.name", "no name of a header or a cookie", "User-Agent"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\nnot = { deny = 403 }\ndeny = 403")], 22, "service[WEB].rule[#1].not.deny", "unknown key", "one of path"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\ndeny = 200")], 22, "service[WEB].rule[#1].deny", "200 is out of range", "400 to 599"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\nredirect = \"www.example.com\"")], 22, "service[WEB].rule[#1].redirect", "nowhere to go", "https://"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\nredirect = \"/{paths}\"")], 22, "service[WEB].rule[#1].redirect", "{paths} is no word", "{path}"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\nredirect = \"/{path\"")], 22, "service[WEB].rule[#1].redirect", "brace without its pair", "{{"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\nredirect = \"/\"\nstatus = 304")], 23, "service[WEB].rule[#1].status", "304 is no status of a redirect", "301, 302"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\nservers = [\"WEB2\"]")], 22, "service[WEB].rule[#1].servers", "no real server \"WEB2\"", "\"WEB1\" (did you mean that?)"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\nservers = \"WEB1\"")], 22, "service[WEB].rule[#1].servers", "an array is wanted", "servers = ["),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\npath = \"/\"")], 21, "service[WEB].rule[#1]", "does nothing", "deny, redirect"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\ndeny = 403\nservers = [\"WEB1\"]")], 23, "service[WEB].rule[#1].servers", "no effect beside it", "a rule of its own"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\nredirect = \"/\"\nhsts = {}")], 23, "service[WEB].rule[#1].hsts", "no effect beside it", "a rule of its own"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\nrewrite = \"/x\"\nrewrite_prefix = { from = \"/a\", to = \"/b\" }")], 23, "service[WEB].rule[#1].rewrite_prefix", "whole path already", "one of rewrite"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\nrewrite_prefix = { from = \"/a\" }")], 22, "service[WEB].rule[#1].rewrite_prefix.to", "to is missing", "to = "),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\nset_header = { name = \"Content-Length\", value = \"1\" }")], 22, "service[WEB].rule[#1].set_header.name", "for the proxy alone", "another header"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\ndelete_header = [\"A\", \"x_forwarded_for\"]")], 22, "service[WEB].rule[#1].delete_header[1]", "for the proxy alone", "another header"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\nadd_response_header = { name = \"A\", value = \"{host}\" }")], 22, "service[WEB].rule[#1].add_response_header.value", "no words from its request", "plain text"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\ndeny = 403\n[[service.rule]]\ndenny = 403\nhost = \"a\"\nservers = [\"WEB1\"]")], 24, "service[WEB].rule[#2].denny", "unknown key", "deny (did you mean that?)"),
    // what layer 7 takes
    (&[(12, "mode = \"l7-http\""), (15, "http = { upgrades = [\"websocket\", \"h2c\"] }")], 15, "service[WEB].http.upgrades[1]", "h2c hides requests", "HTTP/2 over TLS"),
    (&[(12, "mode = \"l7-http\""), (15, "http = { max_head = 20000 }")], 15, "service[WEB].http.max_head", "out of range", "256 to 16384"),
    (&[(12, "mode = \"l7-tcp\""), (15, "accept_proxy_from = [\"10.0.0.0/8\", \"lan\"]")], 15, "service[WEB].accept_proxy_from[1]", "is not an IP address", "192.168.100.100"),
    (&[(12, "mode = \"l7-tcp\""), (15, "handshake_timeout = \"31d\"")], 15, "service[WEB].handshake_timeout", "too long for layer 7", "at most"),
    (&[(15, "accept_proxy_from = [\"10.0.0.0/8\"]")], 15, "service[WEB].accept_proxy_from", "only a service with mode", "leave accept_proxy_from out"),
    // interfaces
    (&[(5, "name = \"a-very-long-name\"")], 5, "interface[#1].name", "longer than 15 characters", "\"eth0\""),
    (&[(5, "name = \"eth 0\"")], 5, "interface[#1].name", "letters, digits", "\"eth0\""),
    (&[(6, "port = \"0000:03:00\"")], 6, "interface[eth0].port", "neither a PCI address nor PMD:argument", "\"0000:03:00.0\""),
    (&[(6, "port = \"af_paket:lb0\"")], 6, "interface[eth0].port", "no poll mode driver", "\"af_packet:...\" (did you mean that?)"),
    (&[(7, "addresses = [\"192.168.100.10\"]")], 7, "interface[eth0].addresses[0]", "lacks the prefix length", "\"192.168.100.10/24\""),
    (&[(7, "addresses = [\"192.168.100.10/33\"]")], 7, "interface[eth0].addresses[0]", "is not a prefix length", "0 to 32"),
    (&[(7, "addresses = [\"192.168.100.0/24\"]")], 7, "interface[eth0].addresses[0]", "the network's own", "one host in 192.168.100.0/24"),
    (&[(8, "gateway = \"192.168.101.1\"")], 8, "interface[eth0].gateway", "not in a subnet of this interface", "a router in one of"),
    (&[(8, "gateway = \"192.168.100.10\"")], 8, "interface[eth0].gateway", "the interface's own address", "the router's address"),
    (&[(9, "mtu = 900")], 9, "interface[eth0].mtu", "900 is out of range", "1280 to 9000"),
    (&[(9, "neighbours = [{ address = \"192.168.100.110\", mac = \"01:00:5e:00:00:01\" }]")], 9, "interface[eth0].neighbours[0].mac", "a group address", "six bytes"),
    (&[(9, "neighbours = [{ address = \"10.9.9.9\", mac = \"02:00:00:00:00:01\" }]")], 9, "interface[eth0].neighbours[0].address", "not in a subnet", "own subnets"),
    (&[(9, "[[interface]]\nname = \"eth0\"\nport = \"tap:x\"\naddresses = [\"10.0.0.1/8\"]")], 10, "interface[eth0].name", "already the name of the interface in line 5", "a name of its own"),
    (&[(9, "[[interface]]\nname = \"eth1\"\nport = \"af_packet:lb0\"\naddresses = [\"10.0.0.1/8\"]")], 11, "interface[eth1].port", "already the port of the interface in line 6", "a port of its own"),
    (&[(9, "[[interface]]\nname = \"eth1\"\nport = \"tap:x\"\naddresses = [\"192.168.100.10/32\"]")], 12, "interface[eth1].addresses", "already an address in line 7", "each address once"),
    (&[(3, "[dataplane]\nworkers = 0")], 4, "dataplane.workers", "0 is out of range", "1 to 64"),
    (&[(3, "[dataplane]\nworkers = 2\ncpus = [1]")], 5, "dataplane.cpus", "1 CPUs for 2 workers", "2 CPUs"),
    (&[(3, "[dataplane]\nhuge_pages = false"), (6, "port = \"03:00.0\"")], 4, "dataplane.huge_pages", "needs huge pages", "huge_pages = true"),
    (&[(3, "[api]\nlisten = [\"10.0.0.1:0\"]")], 4, "api.listen[0]", "no address to listen on", "an address and a port"),
    (&[(3, "[api]\nlisten = [\"10.0.0.1\", \"10.0.0.1:9443\"]")], 4, "api.listen", "is listed twice", "each address once"),
    (&[(3, "[api]\nport = 9443")], 4, "api.port", "unknown key", "listen"),
    (&[(3, "[[syslog]]\nserver = \"loghost\"")], 4, "syslog[#1].server", "no address of a syslog server", "\"192.0.2.9:514\""),
    (&[(3, "[[syslog]]\nserver = \"224.0.0.1\"")], 4, "syslog[#1].server", "a multicast address", "the address of one host"),
    (&[(3, "[[syslog]]\nlevel = \"info\"")], 3, "syslog[#1].server", "server is missing", "server = \"192.168.100.9:514\""),
    (&[(3, "[[syslog]]\nserver = \"10.0.0.9\"\nlevel = \"warn\"")], 5, "syslog[#1].level", "\"warn\" is not known", "warning"),
    (&[(3, "[[syslog]]\nserver = \"10.0.0.9:601\"\n[[syslog]]\nserver = \"10.0.0.9\"\ntransport = \"tcp\"")], 6, "syslog[#2].server", "already the server of the syslog server in line 4", "a server of its own"),
    (&[(15, "check = { port = 80, path = \"/health\" }")], 15, "service[WEB].check.path", "a check of type \"connect\" has no path", "type = \"http\" or type = \"https\""),
    (&[(15, "check = { type = \"http\", path = \"health\" }")], 15, "service[WEB].check.path", "no path of a request", "\"/health?full=1\""),
    (&[(15, "check = { type = \"http\", status = [99] }")], 15, "service[WEB].check.status", "99 is no HTTP status", "100 to 599"),
    (&[(15, "check = { type = \"http\", status = [] }")], 15, "service[WEB].check.status", "never up", "[200]"),
    (&[(15, "check = { type = \"http\", verify = true }")], 15, "service[WEB].check.verify", "has no verify", "type = \"https\""),
    (&[(25, "address = \"192.168.100.101\"\ncheck = { vip = true }")], 26, "service[API].check.vip", "only in the modes l4-dr and l4-tun", "vip = false"),
    (&[(12, "mode = \"l4-tun\""), (15, "check = { vip = true }"), (19, "address = \"2001:db8::1\"")], 15, "service[WEB].check.vip", "differ in family", "vip = false"),
    (&[(15, "check = { type = \"ping\", vip = true }")], 15, "service[WEB].check.vip", "has no vip", "type = \"connect\""),
    (&[(15, "check = { vip = true, source = \"192.168.100.100\" }")], 15, "service[WEB].check.source", "to itself", "leave it out"),
    (&[(15, "check = { type = \"https\", ca = \"ca.pem\" }")], 15, "service[WEB].check.ca", "no absolute path", "from the root"),
    (&[(15, "check = { type = \"http\", host = \"a b\" }")], 15, "service[WEB].check.host", "no host", "www.example.com"),
    (&[(15, "check = { type = \"dns\", name = \"a..b\" }")], 15, "service[WEB].check.name", "no domain name", "for the root"),
    (&[(15, "check = { type = \"dns\", record = \"PTR\" }")], 15, "service[WEB].check.record", "not known here", "one of"),
    (&[(15, "check = { type = \"command\" }")], 15, "service[WEB].check.type", "needs one", "command = ["),
    (&[(15, "check = { type = \"command\", command = [\"check\"] }")], 15, "service[WEB].check.command", "absolute path", "/usr/local/bin/check"),
    (&[(20, "check = { text = \"ok\" }")], 20, "service[WEB].real_server[WEB1].check.text", "has no text", "leave text out"),
    // between objects
    (&[(23, "name = \"WEB\"")], 23, "service[WEB].name", "already the name of the service in line 11", "a name of its own"),
    (&[(20, "[[service.real_server]]\nname = \"WEB1\"\naddress = \"192.168.100.111\"")], 21, "service[WEB].real_server[WEB1].name", "service's real server in line 18", "a name of its own"),
    (&[(25, "address = \"192.168.100.100\""), (26, "ports = \"70-90\"\ncheck = { port = 80 }"), (31, "")], 26, "service[API].ports", "tcp 80 at 192.168.100.100 already belongs to service WEB (line 14)", "no other service has"),
    (&[(25, "address = \"192.168.100.100\""), (26, "ports = \"all\"\ncheck = { port = 443 }"), (31, "")], 26, "service[API].ports", "already belongs to service WEB", "no other service has"),
    (&[(20, "port = 8080")], 20, "service[WEB].real_server[WEB1].port", "differs from the service's 80, but in mode l4-dr packets reach the real server unchanged", "leave port out"),
    (&[(12, "mode = \"l4-tun\""), (20, "port = 8080")], 20, "service[WEB].real_server[WEB1].port", "in mode l4-tun", "leave port out"),
    (&[(19, "address = \"192.168.101.110\"")], 19, "service[WEB].real_server[WEB1].address", "not in a subnet of any interface, and direct routing", "l4-tun"),
    (&[(19, "address = \"2001:db8::1\"")], 19, "service[WEB].real_server[WEB1].address", "differ in family", "IPv4 address"),
    (&[(30, "address = \"2001:db8::1\"")], 30, "service[API].real_server[API1].address", "which mode l4-snat cannot translate", "IPv4 address"),
    (&[(19, "address = \"192.168.100.100\"")], 19, "service[WEB].real_server[WEB1].address", "the service's own virtual address", "own address"),
    (&[(19, "address = \"192.168.100.101\"")], 19, "service[WEB].real_server[WEB1].address", "the virtual address of service[API]", "own address"),
    (&[(19, "address = \"192.168.100.10\"")], 19, "service[WEB].real_server[WEB1].address", "this balancer's own address", "fallback = \"local\""),
    (&[(13, "address = \"192.168.100.255\"")], 13, "service[WEB].address", "broadcast address of 192.168.100.0/24", "one host"),
    (&[(14, "ports = \"80\"\nfallback = { address = \"10.1.1.1\" }")], 15, "service[WEB].fallback.address", "direct routing", "l4-tun"),
    (&[(26, "ports = \"443,500-600\"\ncheck = { port = 443 }")], 32, "service[API].real_server[API1].port", "would all become the one port 8443", "leave port out"),
    (&[(14, "ports = \"all\""), (15, "")], 10, "service[WEB].check.port", "do not say which port to check", "check = {"),
    (&[(26, "ports = \"443\"\nsnat_pool = [\"10.0.0.5\"]")], 27, "service[API].snat_pool", "10.0.0.5 is not in a subnet of any interface", "faces the real servers"),
    (&[(26, "ports = \"443\"\nsnat_pool = [\"192.168.100.5:0-100\"]")], 27, "service[API].snat_pool[0]", "0 is not a port number", "1 to 65535"),
    (&[(26, "ports = \"443\"\nsnat_pool = [\"192.168.100.5\", \"192.168.100.5:2000\"]")], 27, "service[API].snat_pool", "is there twice", "each address and port once"),
    (&[(7, "addresses = [\"192.168.100.10/24\", \"2001:db8::10/64\"]"), (26, "ports = \"443\"\nsnat_pool = [\"2001:db8::5\"]")], 27, "service[API].snat_pool", "the pool has no IPv4 address", "IPv4 address"),
    (&[(25, "address = \"2001:db8::101\""), (30, "address = \"2001:db8::120\"")], 22, "service[API].snat_pool", "no pool, and no interface has an IPv6 address", "IPv6 address"),
    (&[(14, "ports = \"80\"\nsnat_pool = [\"192.168.100.5\"]")], 15, "service[WEB].snat_pool", "only a service with mode = \"l4-snat\"", "leave snat_pool out"),
    (&[(14, "ports = \"80\"\ntunnel = { type = \"gre\" }")], 15, "service[WEB].tunnel", "only a service with mode = \"l4-tun\"", "leave tunnel out"),
    (&[(12, "mode = \"l4-tun\"\ntunnel = { type = \"gre\", port = 6080 }")], 13, "service[WEB].tunnel.port", "only a tunnel of type \"gue\"", "type = \"gue\""),
    (&[(12, "mode = \"l4-tun\"\ntunnel = { source = \"192.168.100.11\" }")], 13, "service[WEB].tunnel.source", "not an address of any interface", "leave it out"),
];

#[rustfmt::skip]
const WARNINGS: &[Case] = &[
    (&[(12, "mode = \"l7-tcp\""), (14, "ports = \"80\"\npersistence = { by = \"tls-session\" }")], 15, "service[WEB].persistence.by", "TLS 1.3, or have a session ticket", "TLS 1.2 without tickets"),
    (&[(14, "ports = \"80\"\npersistence = { by = \"source-ip\", entries = 9 }")], 15, "service[WEB].persistence.entries", "the table of its connections", "table_entries"),
    (&[(13, "address = \"192.168.100.10\"")], 13, "service[WEB].address", "an interface's own address", "an address that only services have"),
    (&[(13, "address = \"192.168.200.100\"")], 13, "service[WEB].address", "no interface has a subnet with 192.168.200.100", "unless a router"),
    (&[(17, "#"), (18, "#"), (19, "#"), (20, "#")], 10, "service[WEB].real_server", "no real server", "[[service.real_server]]"),
    (&[(12, "mode = \"l7-tcp\"\nsource = \"client\"")], 20, "service[WEB].real_server[WEB1].address", "in the subnet 192.168.100.0/24 of the virtual address", "whose gateway is this node"),
    (&[(20, "weight = 0")], 17, "service[WEB].real_server", "none takes connections", "1 to 65535"),
    (&[(20, "min_connections = 5")], 20, "service[WEB].real_server[WEB1].min_connections", "no effect", "max_connections"),
    (&[(20, "[[service.real_server]]\nname = \"WEB2\"\naddress = \"192.168.100.110\"")], 22, "service[WEB].real_server[WEB2].address", "line 19", "each real server once"),
    (&[(14, "ports = \"80\"\nprotocol = \"udp\""), (15, "")], 10, "service[WEB].check", "opens a TCP connection", "type = \"on\""),
    (&[(15, "check = { timeout = \"3s\" }")], 15, "service[WEB].check.timeout", "longer than the interval of 2s", "at most \"2s\""),
    (&[(14, "ports = \"80\"\nprotocol = \"udp\"\nfallback = \"local\"")], 16, "service[WEB].fallback", "TCP only", "\"none\""),
    (&[(26, "ports = \"443,444\"")], 31, "service[API].real_server[API1].port", "reach the one port 8443", "a service for each port"),
    (&[(26, "ports = \"443\"\nsnat_pool = [\"192.168.100.10:40000-50000\"]")], 27, "service[API].snat_pool", "the host uses", "outside 32768-60999"),
    (&[(8, ""), (30, "address = \"10.1.1.1\"")], 30, "service[API].real_server[API1].address", "there is no gateway", "unless the kernel has a route"),
    (&[(9, "[[interface]]\nname = \"eth1\"\nport = \"tap:x\"")], 9, "interface[eth1].addresses", "no address of its own", "addresses ="),
    (&[(9, "[[interface]]\nname = \"eth1\"\nport = \"tap:x\"\naddresses = [\"192.168.100.11/25\"]")], 12, "interface[eth1].addresses", "overlaps 192.168.100.0/24 in line 7", "one interface for each subnet"),
    (&[(9, "[[interface]]\nname = \"eth1\"\nport = \"tap:x\"\naddresses = [\"10.0.0.2/24\"]\ngateway = \"10.0.0.1\"")], 13, "interface[eth1].gateway", "line 8 has a default gateway", "one default gateway"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\npath = \"/a\"\npath_begins = \"/b\"\ndeny = 403")], 21, "service[WEB].rule[#1]", "no request can meet all", "a rule for each"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\npath_begins = \"/a\"\npath_ends = \".x\"\nnot = { path_begins = \"/\" }\ndeny = 403")], 21, "service[WEB].rule[#1]", "no request can meet all", "a rule for each"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\nscheme = \"https\"\nforce_https = true")], 21, "service[WEB].rule[#1]", "no request can meet all", "a rule for each"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\nsource = \"10.0.0.0/8\"\nnot = { source = \"10.0.0.0/7\" }\ndeny = 403")], 21, "service[WEB].rule[#1]", "no request can meet all", "a rule for each"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\ndeny = 403\n[[service.rule]]\npath = \"/a\"\nservers = [\"WEB1\"]")], 23, "service[WEB].rule[#2]", "the rule in line 21 answers all", "before that one"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\npath_begins = [\"/a/\", \"/b\"]\nnot = { source = \"10.1.0.0/16\" }\ndeny = 403\n[[service.rule]]\npath_begins = \"/a/b\"\nhost = \"x\"\nnot = { source = [\"10.0.0.0/8\", \"::1\"] }\nservers = [\"WEB1\"]")], 25, "service[WEB].rule[#2]", "the rule in line 21 answers all", "before that one"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\ndeny = 403\nstatus = 301")], 23, "service[WEB].rule[#1].status", "no effect without redirect", "deny = 403 alone"),
    (&[(12, "mode = \"l7-http\""), (20, "weight = 100\n[[service.rule]]\nhsts = { preload = true }")], 22, "service[WEB].rule[#1].hsts.preload", "for a year", "include_subdomains"),
    (&[(12, "mode = \"l7-http\"\nhttp = { servers = [\"WEB1\"] }"), (20, "[[service.real_server]]\nname = \"WEB2\"\naddress = \"192.168.100.111\"")], 22, "service[WEB].real_server[WEB2].name", "gets no request", "in servers of a rule"),
];

#[test]
fn the_good_file_is_good() {
    let accepted = parse(GOOD, "good.toml").expect("no errors");
    assert!(accepted.findings.is_empty(), "{}", accepted.findings);
}

#[test]
fn every_kind_of_error_is_named_placed_and_alone() {
    hold(ERRORS, |text| match parse(text, "lb.toml") {
        Err(findings) => (findings.errors.clone(), findings),
        Ok(accepted) => (Vec::new(), accepted.findings),
    });
}

#[test]
fn every_kind_of_warning_is_named_placed_and_alone() {
    hold(WARNINGS, |text| match parse(text, "lb.toml") {
        Err(findings) => (Vec::new(), findings),
        Ok(accepted) => (accepted.findings.warnings.clone(), accepted.findings),
    });
}

/// What a schema does not see: it lies between keys or objects, or in what a string means.
const UNSEEN: &[&str] = &[
    "no address",
    "a file has no such thing",
    "has no requests",
    "mode l4-dr does not look",
    "mode l7-http does not look",
    "TLS ends here",
    "only requests have cookies",
    "the name of the cookie is missing",
    "not known by their addresses",
    "many share a connection of HTTP/2",
    "has another meaning",
    "two pages for status 503",
    "runs backwards",
    "ports in common",
    "a multicast address",
    "IPv4 address in IPv6 clothes",
    "more than max_connections",
    "not an address of this balancer",
    "no poll mode driver",
    "the network's own",
    "not in a subnet of this interface",
    "the interface's own address",
    "not in a subnet",
    "already the name of the interface in line 5",
    "already the port of the interface in line 6",
    "already an address in line 7",
    "already the server of the syslog server in line 4",
    "1 CPUs for 2 workers",
    "needs huge pages",
    "is listed twice",
    "a check of type \"connect\" has no path",
    "needs one",
    "only in the modes l4-dr and l4-tun",
    "to itself",
    "absolute path",
    "has no text",
    "already the name of the service in line 11",
    "service's real server in line 18",
    "tcp 80 at 192.168.100.100 already belongs to service WEB (line 14)",
    "already belongs to service WEB",
    "differs from the service's 80, but in mode l4-dr packets reach the real server unchanged",
    "in mode l4-tun",
    "not in a subnet of any interface, and direct routing",
    "differ in family",
    "which mode l4-snat cannot translate",
    "the service's own virtual address",
    "the virtual address of service[API]",
    "this balancer's own address",
    "broadcast address of 192.168.100.0/24",
    "direct routing",
    "would all become the one port 8443",
    "do not say which port to check",
    "10.0.0.5 is not in a subnet of any interface",
    "is there twice",
    "the pool has no IPv4 address",
    "no pool, and no interface has an IPv6 address",
    "not an address of any interface",
    "// is resolved before",
    "h2c hides requests",
    "only requests have X-Forwarded-For",
    "this node has to be its gateway",
    "{paths} is no word",
    "brace without its pair",
    "304 is no status of a redirect",
    "no real server \"WEB2\"",
    "no real server \"WEBB1\"",
    "does nothing",
    "no effect beside it",
    "whole path already",
    "for the proxy alone",
    "no words from its request",
    "too long for layer 7",
    "is for TCP",
    "no scheduler \"maglev\"",
    "cannot move",
    "cannot on all",
    "at most 8192",
    "as soon as one is free",
    "service S takes ports",
];

#[test]
fn the_schema_sees_what_a_schema_can() {
    let validator = Validator::new();
    assert_eq!(validator.faults(&as_json(GOOD).expect("TOML")), [""; 0]);
    for (edits, _, key, what, _) in ERRORS {
        let Some(file) = as_json(&edited(edits)) else { continue };
        let faults = validator.faults(&file);
        let unseen = UNSEEN.contains(what);
        assert_eq!(faults.is_empty(), unseen, "{key}: {what}: {faults:?}; UNSEEN is wrong?");
    }
}

#[test]
fn sections_that_are_something_else() {
    for (text, key, what) in [
        ("service = 1\n", "service", "is an integer, an array of tables is wanted"),
        ("service = [1]\n", "service", "is an integer, an array of tables is wanted"),
        ("[interface]\nname = \"x\"\n", "interface", "is a table, an array of tables is wanted"),
        ("node = \"lb1\"\n", "node", "is a string, a table is wanted"),
    ] {
        let findings = parse(text, "lb.toml").expect_err("refused");
        let found = findings.errors.iter().any(|e| e.key == key && e.what.contains(what));
        assert!(found, "{text}{findings}");
    }
}

#[test]
fn a_real_server_behind_a_router_is_noted_in_nat_mode() {
    let text = edited(&[(24, "mode = \"l4-nat\""), (30, "address = \"10.1.1.1\"")]);
    let accepted = parse(&text, "lb.toml").expect("accepted");
    assert!(accepted.findings.notes[0].what.contains("behind a router"), "{}", accepted.findings);
}

#[test]
fn an_empty_file_has_no_interface() {
    let findings = parse("", "empty.toml").expect_err("refused");
    let text = findings.to_string();
    assert!(text.starts_with("empty.toml:1:1: error: interface: there is no interface"), "{text}");
}

#[test]
fn all_findings_come_together_in_the_order_of_the_file() {
    let text = edited(&[
        (6, "port = \"nic\""),
        (14, "ports = \"99999\""),
        (19, "address = \"192.168.101.110\""),
        (20, "wieght = 100"),
        (23, "name = \"WEB\""),
        (31, "port = 0"),
    ]);
    let findings = parse(&text, "lb.toml").expect_err("refused");
    let lines: Vec<usize> = findings.errors.iter().map(|finding| finding.line).collect();
    assert_eq!(lines, [6, 14, 19, 20, 23, 31], "{findings}");
}

#[test]
fn the_text_form_is_one_line_for_each() {
    let text = edited(&[(20, "weight = 100\nport = 8080")]);
    let findings = parse(&text, "lb.toml").expect_err("refused");
    assert_eq!(
        findings.to_string(),
        "lb.toml:21:8: error: service[WEB].real_server[WEB1].port: port 8080 differs from the \
         service's 80, but in mode l4-dr packets reach the real server unchanged, with the port \
         the client asked for; write: nothing: leave port out; or mode = \"l4-nat\" or \
         \"l4-snat\"\n"
    );
}

#[test]
fn the_json_form_has_the_same() {
    let text = edited(&[(20, "weight = -1"), (13, "address = \"192.168.100.10\"")]);
    let findings = parse(&text, "lb.toml").expect_err("refused");
    let json = serde_json::to_value(&findings).expect("serializes");
    assert_eq!(json["errors"][0]["line"], 20);
    assert_eq!(json["errors"][0]["column"], 10);
    assert_eq!(json["errors"][0]["file"], "lb.toml");
    assert_eq!(json["errors"][0]["key"], format!("{WEB1}.weight"));
    assert_eq!(json["warnings"][0]["key"], "service[WEB].address");
    assert_eq!(json["notes"].as_array().map(Vec::len), Some(0));
}

#[test]
fn columns_count_characters() {
    let findings = parse("ä = \"ß\"\n\"ö\" = \"é\" = 1", "lb.toml").expect_err("refused");
    let first = &findings.errors[0];
    assert_eq!((first.line, first.column), (1, 1), "{findings}");
    assert_eq!(findings.errors[1].column, 11, "{findings}");
}

#[test]
fn the_guilty_list_is_bounded_and_says_so() {
    let lines: String = (0..5_000).map(|i| format!("key{i} = 1\n")).collect();
    let findings = parse(&lines, "lb.toml").expect_err("refused");
    assert_eq!(findings.errors.len(), config::MAX_FINDINGS);
    assert!(findings.notes.iter().any(|n| n.what.contains("further findings")), "{findings}");
}

#[test]
fn bytes_that_are_no_text_are_placed() {
    let findings = config::parse_bytes(b"[node]\nname = \"\xff\"", "lb.toml").expect_err("refused");
    assert_eq!((findings.errors[0].line, findings.errors[0].column), (2, 9));
}

fn edited(edits: &[(usize, &str)]) -> String {
    let mut lines: Vec<&str> = GOOD.lines().collect();
    for (number, text) in edits {
        lines[number - 1] = text;
    }
    lines.join("\n") + "\n"
}

/// Every case, and all that failed at once.
fn hold(cases: &[Case], judge: impl Fn(&str) -> (Vec<Finding>, Findings)) {
    let mut failed = String::new();
    for (edits, line, key, what, write) in cases {
        let (found, all) = judge(&edited(edits));
        let good = match found.as_slice() {
            [it] => {
                it.line == *line
                    && it.key == *key
                    && it.what.contains(what)
                    && it.write.contains(write)
            }
            _ => false,
        };
        if !good {
            failed += &format!("{edits:?}\nwanted {line}: {key}: {what}; {write}\ngot\n{all}\n");
        }
    }
    assert!(failed.is_empty(), "{failed}");
}
