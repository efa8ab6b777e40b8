//! The page of a benchmark that was really run, in a real browser: Chromium, without a screen. It draws the
//! page, says where everything has come to lie, and takes a picture, whose colours are counted.

mod chromium;

use chromium::Chromium;
use serde::Deserialize;
use std::collections::HashMap;
use trials::html::page;
use trials::rfc2544::Report;

/// Kept by `bench rfc2544`, as it wrote it.
const REPORT: &str = include_str!("../reports/nat.json");
const PROBE: &str = include_str!("probe.js");
const PIXELS: &str = include_str!("pixels.js");
/// Of a reader's window, in pixels: a screen's, and the narrowest that Chromium has.
const WIDTHS: [u32; 2] = [1000, 500];

/// What the probe says of a page.
#[derive(Deserialize)]
struct Seen {
    width: f64,
    page: [f64; 2],
    text: String,
    plots: Vec<Plot>,
    verdicts: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Plot {
    title: String,
    #[serde(rename = "box")]
    outline: Outline,
    texts: Vec<Text>,
    dots: Vec<Dot>,
    lines: Vec<f64>,
    figures: usize,
    explained: String,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    #[serde(rename = "box")]
    outline: Outline,
}

#[derive(Deserialize)]
struct Dot {
    #[serde(rename = "box")]
    outline: Outline,
    colour: String,
}

/// Left, top, right, bottom.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Outline(f64, f64, f64, f64);

impl Outline {
    /// Half a pixel is no overlap.
    fn is_apart(self, other: Self) -> bool {
        self.2 <= other.0 + 0.5
            || other.2 <= self.0 + 0.5
            || self.3 <= other.1 + 0.5
            || other.3 <= self.1 + 0.5
    }

    fn is_within(self, other: Self) -> bool {
        self.0 >= other.0 && self.1 >= other.1 && self.2 <= other.2 && self.3 <= other.3
    }
}

/// How many pixels of each colour a picture has.
#[derive(Deserialize)]
struct Pixels {
    size: [u32; 2],
    colours: HashMap<String, u64>,
}

fn report() -> Report {
    serde_json::from_str(REPORT).unwrap()
}

fn with(page: &str, script: &str) -> String {
    page.replace("</body>", &format!("<script>{script}</script></body>"))
}

#[test]
fn every_plot_is_drawn_and_nothing_lies_over_anything() {
    let (browser, html) = (Chromium::new(), page(&report()));
    for width in WIDTHS {
        let seen: Seen = browser.seen(&with(&html, PROBE), width);
        assert!(seen.page[0] <= seen.width, "{:?} does not fit into {}", seen.page, seen.width);
        assert!(seen.plots.len() >= 2, "throughput and latency");
        for plot in &seen.plots {
            plot_is_drawn(plot, seen.width);
        }
    }
}

fn plot_is_drawn(plot: &Plot, window: f64) {
    let Plot { title, outline, texts, dots, lines, figures, explained } = plot;
    let wide = outline.2 - outline.0;
    assert!(
        wide > 0.75 * window && outline.0 >= 0.0 && outline.2 <= window,
        "{title}: {outline:?}"
    );
    assert!((wide / (outline.3 - outline.1) - 2.0).abs() < 0.01, "{title}: {outline:?}");
    assert_eq!(dots.len(), *figures, "{title}: a dot for each figure of the table");
    assert!(!lines.is_empty() && lines.iter().all(|length| *length > 100.0), "{title}: {lines:?}");
    assert!(dots.iter().all(|dot| dot.outline.is_within(*outline)), "{title}");
    assert!(explained.contains("better"), "{title}: {explained}");
    for (at, one) in texts.iter().enumerate() {
        assert!(one.outline.is_within(*outline), "{title}: {:?} is cut", one.text);
        for other in &texts[at + 1..] {
            assert!(
                one.outline.is_apart(other.outline),
                "{title}: {:?} and {:?} at {window} pixels: {:?} {:?}",
                one.text,
                other.text,
                one.outline,
                other.outline
            );
        }
    }
}

#[test]
fn the_page_says_what_when_where_and_whether_it_is_enough() {
    let report = report();
    let seen: Seen = Chromium::new().seen(&with(&page(&report), PROBE), WIDTHS[0]);
    let told =
        [&report.title, &report.when].into_iter().chain(&report.machine).chain(&report.setting);
    for words in told.map(String::as_str).chain(["packets per second", "microseconds", "Trials of"])
    {
        assert!(!words.is_empty() && seen.text.contains(words), "{words:?} in {}", seen.text);
    }
    assert!(!report.findings.is_empty());
    assert_eq!(seen.verdicts.len(), report.findings.len());
    for (finding, (row, _)) in report.findings.iter().zip(&seen.verdicts) {
        let verdict = if finding.passed { "met" } else { "MISSED" };
        assert!(row.ends_with(verdict) && row.contains(&finding.wanted), "{row}");
    }
}

#[test]
fn the_picture_has_every_line_in_its_colour() {
    let (browser, html) = (Chromium::new(), page(&report()));
    let seen: Seen = browser.seen(&with(&html, PROBE), WIDTHS[0]);
    let height = seen.page[1] as u32;
    let picture = browser.picture(&html, WIDTHS[0], height);
    let shown = format!("<!DOCTYPE html><html><body><img src=\"{picture}\"/></body></html>");
    let pixels: Pixels = browser.seen(&with(&shown, PIXELS), WIDTHS[0]);
    assert_eq!(pixels.size, [WIDTHS[0], height]);
    let count = |colour: &str| pixels.colours.get(colour).copied().unwrap_or(0);
    let all: u64 = pixels.colours.values().sum();
    let paper = pixels.colours.values().max().copied().unwrap_or(0);
    assert!(paper * 2 > all && paper * 100 < all * 99, "{paper} of {all} pixels are paper");
    for plot in &seen.plots {
        for dot in &plot.dots {
            assert!(count(&dot.colour) > 200, "{}: no line is {}", plot.title, dot.colour);
        }
    }
    if let Some(file) = std::env::var_os("FULCRUM_PICTURE") {
        browser.keep_picture(&file);
    }
}
