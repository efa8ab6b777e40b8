//! A benchmark's report as one page: no script, nothing fetched, figures in tables beside every plot.

mod beside;
mod head;
mod plot;

use crate::rfc2544::{Connections, Latency, Report, Throughput};
use plot::{Plot, STYLES, Series, escape, short};
use std::fmt::Write;

/// The page of a report.
pub fn page(report: &Report) -> String {
    let title = escape(&report.title);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\
         <title>{title}</title><style>{STYLE}</style></head><body><main>"
    );
    head::head(&mut out, report);
    let plots = throughput(report).into_iter().chain(latencies(&report.latency));
    for (number, plot) in plots.enumerate() {
        section(&mut out, &plot, &format!("p{number}"));
    }
    limits(&mut out, report);
    beside::added(&mut out, report);
    back_to_back(&mut out, report);
    let rate = report.connection_rate.as_ref();
    connections(&mut out, "Connections per second", CONNECTION_RATE, rate);
    connections(&mut out, "Connections at once", CONCURRENT, report.concurrent.as_ref());
    beside::fates(&mut out, report);
    out.push_str("</main></body></html>\n");
    out
}

/// Colours that differ in lightness too, and dashes for those who do not see them; dark on demand.
const STYLE: &str = include_str!("style.css");

/// Values in the order they first come.
fn distinct<T: PartialEq + Clone>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

const THROUGHPUT: &str = "A point is the greatest rate at which a trial lost nothing (RFC 2544, section 26.1). \
    Higher is better.";
const LATENCY: &str = "A point says that this part of the packets took no longer than so many microseconds from \
    the generator back to it. Each line is a load. Lower is better; each step upwards is ten times as long.";
const BURST: &str = "So many packets with no gap between them arrived, all of them, and one more would have been \
    lost (RFC 2544, section 26.4). More is better: it is what the device and the queues before it can hold.";
const CONNECTION_RATE: &str = "So many TCP connections were opened, used and closed each second, and no packet of \
    them was lost. More is better.";
const CONCURRENT: &str = "So many TCP connections were open at once, and data still passed on every one of them. \
    More is better.";

/// Over frame length, and over the number of flows where there are several.
fn throughput(report: &Report) -> Vec<Plot> {
    let rows = &report.throughput;
    if rows.is_empty() {
        return Vec::new();
    }
    let sizes = distinct(rows.iter().map(|row| row.size.clone()));
    let flows = distinct(rows.iter().map(|row| row.flows));
    let at = |rows: &[Throughput], size: &String, flows: u32| {
        let row = rows.iter().find(|row| row.size == *size && row.flows == flows);
        row.map(|row| row.packets as f64)
    };
    let by_size = |rows: &[Throughput], name: &str| {
        let series = |&flows: &u32| Series {
            name: format!("{name}{} flows", short(flows.into())),
            values: sizes.iter().map(|size| at(rows, size, flows)).collect(),
        };
        flows.iter().map(series).collect::<Vec<_>>()
    };
    let mut series = by_size(rows, "");
    if let Some(other) = &report.beside {
        series.extend(by_size(&other.throughput, &format!("{}, ", other.name)));
    }
    let mut plots = vec![Plot {
        title: "Throughput over frame length".into(),
        meaning: THROUGHPUT,
        across: "frame length in bytes",
        up: "packets per second",
        categories: sizes.clone(),
        series,
        decades: false,
    }];
    if flows.len() > 1 {
        let by_flows = sizes.iter().map(|size| Series {
            name: format!("{size} bytes"),
            values: flows.iter().map(|&flows| at(rows, size, flows)).collect(),
        });
        plots.push(Plot {
            title: "Throughput over the number of flows".into(),
            meaning: THROUGHPUT,
            across: "flows",
            up: "packets per second",
            categories: flows.iter().map(|&flows| short(flows.into())).collect(),
            series: by_flows.collect(),
            decades: false,
        });
    }
    plots
}

const PERCENTILES: [&str; 7] = ["least", "50 %", "90 %", "99 %", "99.9 %", "99.99 %", "most"];

/// One plot for each length and number of flows, a line for each load.
fn latencies(rows: &[Latency]) -> Vec<Plot> {
    let groups = distinct(rows.iter().map(|row| (row.size.clone(), row.flows)));
    let plot = |(size, flows): (String, u32)| {
        let rows = rows.iter().filter(|row| row.size == size && row.flows == flows);
        let series = rows.map(|row| {
            let t = &row.times;
            let values = [t.least, t.p50, t.p90, t.p99, t.p999, t.p9999, t.most];
            Series {
                name: format!("{:.0} % of the throughput", row.load * 100.0),
                values: values.map(|ns| Some(ns as f64 / 1000.0)).to_vec(),
            }
        });
        Plot {
            title: format!("Latency, {size} bytes, {} flows", short(flows.into())),
            meaning: LATENCY,
            across: "part of the packets that took no longer",
            up: "microseconds",
            categories: PERCENTILES.map(str::to_owned).to_vec(),
            series: series.collect(),
            decades: true,
        }
    };
    groups.into_iter().map(plot).collect()
}

/// A plot, its legend, and its table.
fn section(out: &mut String, plot: &Plot, id: &str) {
    let title = escape(&plot.title);
    let (meaning, picture) = (escape(plot.meaning), plot.svg(id));
    let _ = write!(
        out,
        "<section><h2>{title}</h2><p>{meaning}</p><figure>{picture}<ul class=\"legend\">"
    );
    for (number, series) in plot.series.iter().enumerate() {
        let (style, name) = (number % STYLES, escape(&series.name));
        let _ = write!(
            out,
            "<li><svg viewBox=\"0 0 40 12\" aria-hidden=\"true\" xmlns=\"http://www.w3.org/2000/svg\">\
             <polyline class=\"line s{style}\" points=\"0,6 40,6\"/>\
             <circle class=\"dot s{style}\" cx=\"20\" cy=\"6\" r=\"4\"/></svg> {name}</li>"
        );
    }
    let _ = write!(
        out,
        "</ul></figure><div class=\"table\"><table><caption>{} ({})</caption><thead><tr>\
         <th scope=\"col\">{}</th>",
        title,
        escape(plot.up),
        escape(plot.across)
    );
    for name in &plot.categories {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escape(name));
    }
    out.push_str("</tr></thead><tbody>");
    for series in &plot.series {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escape(&series.name));
        for value in &series.values {
            let text = value.map_or("–".into(), short);
            let _ = write!(out, "<td>{text}</td>");
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div></section>");
}

/// Where the generator and not the device was the limit, a figure is a lower bound.
fn limits(out: &mut String, report: &Report) {
    let limited: Vec<String> = report
        .throughput
        .iter()
        .filter(|row| row.limited)
        .map(|row| format!("{} bytes with {} flows", escape(&row.size), short(row.flows.into())))
        .collect();
    if !limited.is_empty() {
        let list = limited.join(", ");
        let _ = write!(
            out,
            "<p class=\"note\">The generator could not send faster, so the device may do more: {list}.</p>"
        );
    }
}

fn back_to_back(out: &mut String, report: &Report) {
    if report.back_to_back.is_empty() {
        return;
    }
    let _ = write!(
        out,
        "<section><h2>Longest burst without loss</h2><p>{BURST}</p><div class=\"table\"><table>\
         <caption>packets back to back, mean of the repetitions</caption><thead><tr>\
         <th scope=\"col\">frame length</th><th scope=\"col\">packets</th></tr></thead><tbody>",
    );
    for row in &report.back_to_back {
        let more = if row.unlimited { " and more" } else { "" };
        let (size, packets) = (escape(&row.size), short(row.packets));
        let _ = write!(out, "<tr><th scope=\"row\">{size}</th><td>{packets}{more}</td></tr>");
    }
    out.push_str("</tbody></table></div></section>");
}

fn connections(out: &mut String, name: &str, meaning: &str, row: Option<&Connections>) {
    let Some(row) = row else { return };
    let more = if row.limited { " and more: the generator's limit" } else { "" };
    let most = short(row.most as f64);
    let _ = write!(
        out,
        "<section><h2>{name}</h2><p>{meaning}</p><p class=\"figure\">{most}{more}</p></section>"
    );
}
