//! Tables without a plot: latency beside another program's, and where packets were lost.

use super::plot::{escape, short};
use crate::rfc2544::{Added, Report, Totals};
use std::fmt::Write;

const HEADS: [&str; 8] = [
    "frame length, flows, load",
    "packets per second",
    "of the other",
    "half within",
    "of the other",
    "added",
    "99.9 % within",
    "added",
];

/// What the device takes longer than the other one.
pub(super) fn added(out: &mut String, report: &Report) {
    let (added, Some(other)) = (report.added(), &report.beside) else { return };
    if added.is_empty() {
        return;
    }
    let name = escape(&other.name);
    let _ = write!(
        out,
        "<section id=\"added\"><h2>Latency added to {name}</h2><p>How much longer a packet takes than \
         through {name}, on the same devices, each at this part of its own throughput. Less is better; \
         below zero it is quicker.</p><div class=\"table\"><table><caption>microseconds; the other is \
         {name}</caption><thead><tr>"
    );
    for head in HEADS {
        let _ = write!(out, "<th scope=\"col\">{head}</th>");
    }
    out.push_str("</tr></thead><tbody>");
    added.iter().for_each(|row| line(out, row));
    out.push_str("</tbody></table></div></section>");
}

fn line(out: &mut String, row: &Added) {
    let (here, there) = (row.here, row.there);
    let us = |ns: i64| format!("{:.1}", ns as f64 / 1000.0);
    let cells = [
        short(here.packets as f64),
        short(there.packets as f64),
        us(here.times.p50 as i64),
        us(there.times.p50 as i64),
        us(row.by(|times| times.p50)),
        us(here.times.p999 as i64),
        us(row.by(|times| times.p999)),
    ];
    let (size, flows, load) = (escape(&here.size), short(here.flows.into()), here.load * 100.0);
    let _ = write!(out, "<tr><th scope=\"row\">{size} bytes, {flows}, {load:.0} %</th>");
    for cell in cells {
        let _ = write!(out, "<td>{cell}</td>");
    }
    out.push_str("</tr>");
}

/// Where the packets of all trials were lost.
pub(super) fn fates(out: &mut String, report: &Report) {
    let Some(fates) = &report.fates else { return };
    let Totals { sent, lost, .. } = report.totals;
    let _ = write!(
        out,
        "<section id=\"fates\"><h2>Where packets were lost</h2><p>Of {sent} packets in all trials, those \
         that search for the limit and warm up among them, {lost} were lost: by the numbers in the packets, \
         and by the counters of whoever had them.</p><div class=\"table\"><table><caption>packets</caption>\
         <thead><tr><th scope=\"col\">place</th><th scope=\"col\">lost there</th></tr></thead><tbody>"
    );
    for fate in fates {
        let (name, packets) = (escape(&fate.name), fate.packets);
        let _ = write!(out, "<tr><th scope=\"row\">{name}</th><td>{packets}</td></tr>");
    }
    out.push_str("</tbody></table></div></section>");
}
