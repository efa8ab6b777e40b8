//! A benchmark's report as one page: no script, nothing fetched, figures in tables beside every plot.

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
         <title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1>"
    );
    out.push_str("<ul class=\"setting\">");
    for line in &report.setting {
        let _ = write!(out, "<li>{}</li>", escape(line));
    }
    out.push_str("</ul>");
    let plots = throughput(&report.throughput).into_iter().chain(latencies(&report.latency));
    for (number, plot) in plots.enumerate() {
        section(&mut out, &plot, &format!("p{number}"));
    }
    limits(&mut out, report);
    back_to_back(&mut out, report);
    connections(&mut out, "Connections per second", report.connection_rate.as_ref());
    connections(&mut out, "Connections at once", report.concurrent.as_ref());
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

/// Over frame length, and over the number of flows where there are several.
fn throughput(rows: &[Throughput]) -> Vec<Plot> {
    if rows.is_empty() {
        return Vec::new();
    }
    let sizes = distinct(rows.iter().map(|row| row.size.clone()));
    let flows = distinct(rows.iter().map(|row| row.flows));
    let at = |size: &String, flows: u32| {
        let row = rows.iter().find(|row| row.size == *size && row.flows == flows);
        row.map(|row| row.packets as f64)
    };
    let by_size = flows.iter().map(|&flows| Series {
        name: format!("{} flows", short(flows.into())),
        values: sizes.iter().map(|size| at(size, flows)).collect(),
    });
    let mut plots = vec![Plot {
        title: "Throughput over frame length".into(),
        across: "frame length in bytes",
        up: "packets per second",
        categories: sizes.clone(),
        series: by_size.collect(),
        decades: false,
    }];
    if flows.len() > 1 {
        let by_flows = sizes.iter().map(|size| Series {
            name: format!("{size} bytes"),
            values: flows.iter().map(|&flows| at(size, flows)).collect(),
        });
        plots.push(Plot {
            title: "Throughput over the number of flows".into(),
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
    let _ = write!(out, "<section><h2>{title}</h2><figure>{}<ul class=\"legend\">", plot.svg(id));
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
    out.push_str(
        "<section><h2>Longest burst without loss</h2><div class=\"table\"><table>\
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

fn connections(out: &mut String, name: &str, row: Option<&Connections>) {
    let Some(row) = row else { return };
    let more = if row.limited { " and more: the generator's limit" } else { "" };
    let most = short(row.most as f64);
    let _ = write!(out, "<section><h2>{name}</h2><p class=\"figure\">{most}{more}</p></section>");
}
