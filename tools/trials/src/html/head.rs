//! What a reader must know before the figures: what was measured, when, on which machine, how, and
//! whether it is what was wanted.

use super::plot::escape;
use crate::rfc2544::{Finding, Method, Report};
use std::fmt::Write;

/// Title, circumstances and verdicts.
pub(super) fn head(out: &mut String, report: &Report) {
    let _ = write!(out, "<h1>{}</h1><dl class=\"about\">", escape(&report.title));
    let when = if report.when.is_empty() { "not told" } else { &report.when };
    entry(out, "Measured", &[when.to_owned()]);
    entry(out, "Machine", &report.machine);
    entry(out, "Setting", &report.setting);
    if report.method != Method::default() {
        entry(out, "Method", &[method(&report.method)]);
    }
    out.push_str("</dl>");
    findings(out, &report.findings);
}

fn entry(out: &mut String, name: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = write!(out, "<dt>{name}</dt>");
    for line in lines {
        let _ = write!(out, "<dd>{}</dd>", escape(line));
    }
}

fn method(method: &Method) -> String {
    let Method { seconds, resolution, most_loss } = method;
    let loss = match *most_loss {
        0.0 => "no packet".to_owned(),
        part => format!("at most {} % of its packets", part * 100.0),
    };
    format!(
        "Trials of {seconds} s, in one of which {loss} may be lost; a limit is searched for to {} % of \
         the rate that the search began with. A frame's length counts its check sequence (4 bytes).",
        resolution * 100.0
    )
}

fn findings(out: &mut String, findings: &[Finding]) {
    if findings.is_empty() {
        return;
    }
    let met = findings.iter().filter(|finding| finding.passed).count();
    let _ = write!(
        out,
        "<section id=\"targets\"><h2>Targets</h2><p>{met} of {} met.</p><div class=\"table\"><table>\
         <caption>what was wanted, and whether it is so</caption><thead><tr>",
        findings.len()
    );
    for name in ["target", "wanted", "found", "verdict"] {
        let _ = write!(out, "<th scope=\"col\">{name}</th>");
    }
    out.push_str("</tr></thead><tbody>");
    for Finding { what, wanted, seen, passed } in findings {
        let (class, verdict) = if *passed { ("met", "met") } else { ("missed", "MISSED") };
        let _ = write!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td class=\"{class}\">{verdict}</td></tr>",
            escape(what),
            escape(wanted),
            escape(seen)
        );
    }
    out.push_str("</tbody></table></div></section>");
}
