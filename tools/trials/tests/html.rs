//! The page as a reader gets it: well formed, alone, nothing cut, nothing over anything else.

use roxmltree::{Document, Node, ParsingOptions};
use traffic::Times;
use trials::html::page;
use trials::rfc2544::{BackToBack, Connections, Latency, Report, Throughput};

fn report(sizes: &[&str], flows: &[u32], loads: &[f64]) -> Report {
    let mut report = Report {
        title: "DR, IPv4 <one way> & \"more\"".into(),
        setting: vec!["client 0000:01:00.0 (net_ixgbe)".into(), "a\u{7}b".into()],
        ..Report::default()
    };
    for (n, size) in sizes.iter().enumerate() {
        for &flows in flows {
            let packets = 14_880_952 / (n as u64 + 1) / u64::from(flows.ilog10() + 1);
            let limited = n == 0;
            let size = (*size).to_owned();
            report.throughput.push(Throughput {
                size,
                flows,
                packets,
                limited,
                ..Default::default()
            });
            for &load in loads {
                let least = 3000 + 1000 * n as u64;
                let times = Times {
                    packets: 1000,
                    least,
                    mean: 5000.0,
                    p50: least * 2,
                    p90: least * 3,
                    p99: least * 10,
                    p999: least * 70,
                    p9999: least * 700,
                    most: least * 3000,
                };
                let size = sizes[n].to_owned();
                report.latency.push(Latency { size, flows, load, times, ..Default::default() });
            }
        }
        let size = (*size).to_owned();
        report.back_to_back.push(BackToBack { size, packets: 812.5, ..Default::default() });
    }
    report.connection_rate = Some(Connections { most: 1_234_567, ..Default::default() });
    report.concurrent = Some(Connections { most: 10, limited: true, ..Default::default() });
    report
}

const ALL: [&str; 7] = ["64", "128", "256", "512", "1024", "1280", "1518"];

fn reports() -> Vec<Report> {
    vec![
        Report::default(),
        report(&["64"], &[1], &[1.0]),
        report(&ALL, &[1000], &[1.0, 0.9, 0.5, 0.1]),
        report(&ALL, &[1, 1000, 65_536, 1_000_000, 64_000_000], &[0.5]),
        report(&["imix", "64:7,594:4,1518:1", "9000", "64:1,65:1,66:1,67:1"], &[10, 100], &[1.0]),
        report(&["64:7,594:4,1518:1"], &(1..40).collect::<Vec<_>>(), &[1.0]),
    ]
}

fn parsed(html: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(html, options).unwrap_or_else(|error| panic!("{error}"))
}

fn number(node: Node, name: &str) -> f64 {
    let value = node.attribute(name).unwrap_or_else(|| panic!("{name} is missing"));
    value.parse().unwrap_or_else(|_| panic!("{name} is {value}"))
}

/// Left, top, right, bottom of a text at 13 pixels, as wide as any font makes it; turned ones turned.
fn outline(text: Node) -> [f64; 4] {
    let (mut x, y) = (number(text, "x"), number(text, "y"));
    let width = text.text().unwrap_or("").chars().count() as f64 * 7.8;
    match text.attribute("text-anchor") {
        Some("middle") => x -= width / 2.0,
        Some("end") => x -= width,
        _ => {}
    }
    match text.attribute("transform") {
        None => [x, y - 11.0, x + width, y + 3.0],
        Some("rotate(-90)") => [y - 11.0, -(x + width), y + 3.0, -x],
        Some(other) => panic!("{other}"),
    }
}

#[test]
fn no_text_is_cut_or_over_another() {
    for report in reports() {
        let html = page(&report);
        let document = parsed(&html);
        let pictures = document.descendants().filter(|node| node.attribute("role") == Some("img"));
        for picture in pictures {
            let size: Vec<f64> = picture
                .attribute("viewBox")
                .into_iter()
                .flat_map(|text| text.split(' ').filter_map(|part| part.parse().ok()))
                .collect();
            let texts = picture.descendants().filter(|node| node.has_tag_name(SVG_TEXT));
            let boxes: Vec<_> = texts.map(|text| (text.text(), outline(text))).collect();
            assert!(boxes.len() > 4);
            for (at, (text, one)) in boxes.iter().enumerate() {
                let inside =
                    one[0] >= 0.0 && one[1] >= 0.0 && one[2] <= size[2] && one[3] <= size[3];
                assert!(inside, "{text:?} is cut: {one:?}");
                for (other_text, other) in &boxes[at + 1..] {
                    let apart = one[2] <= other[0]
                        || other[2] <= one[0]
                        || one[3] <= other[1]
                        || other[3] <= one[1];
                    assert!(apart, "{text:?} and {other_text:?}: {one:?} {other:?}");
                }
            }
        }
    }
}

const SVG_TEXT: (&str, &str) = ("http://www.w3.org/2000/svg", "text");

#[test]
fn every_point_is_in_the_picture_and_every_figure_in_a_table() {
    let report = report(&ALL, &[1000, 1_000_000], &[1.0, 0.1]);
    let html = page(&report);
    let document = parsed(&html);
    let pictures: Vec<_> =
        document.descendants().filter(|node| node.attribute("role") == Some("img")).collect();
    assert_eq!(pictures.len(), 2 + 14, "throughput twice, latency by length and flows");
    let dots = |picture: &Node| {
        let dots = picture.descendants().filter(|node| node.tag_name().name() == "circle");
        dots.map(|dot| (number(dot, "cx"), number(dot, "cy"))).collect::<Vec<_>>()
    };
    assert_eq!([0, 1, 2].map(|at| dots(&pictures[at]).len()), [14, 14, 14]);
    for (x, y) in pictures.iter().flat_map(dots) {
        assert!((76.0..=700.0).contains(&x) && (20.0..=296.0).contains(&y), "{x} {y}");
    }
    // The highest rate is the highest dot.
    let first = dots(&pictures[0]);
    assert!(first.iter().all(|dot| dot.1 >= first[0].1));
    let cells: Vec<_> = document
        .descendants()
        .filter(|node| node.has_tag_name("td"))
        .filter_map(|cell| cell.text())
        .collect();
    for figure in ["3.72M", "6", "30", "812", "9k"] {
        assert!(cells.iter().any(|cell| cell.starts_with(figure)), "{figure} in {cells:?}");
    }
}

#[test]
fn nothing_is_fetched_or_run_and_names_are_only_names() {
    for report in reports() {
        let html = page(&report);
        for word in ["<script", "http-equiv", "<link", "<img", "url(", "@import", "src=", "href="] {
            assert!(!html.contains(word), "{word}");
        }
        assert_eq!(
            html.matches("http").count(),
            html.matches("http://www.w3.org/2000/svg").count()
        );
        let document = parsed(&html);
        let heading = document.descendants().find(|node| node.has_tag_name("h1"));
        assert_eq!(heading.and_then(|node| node.text()).unwrap_or(""), report.title);
    }
}

#[test]
fn pictures_have_names_and_tables_heads() {
    let html = page(&report(&ALL, &[1000], &[1.0]));
    let document = parsed(&html);
    let ids: Vec<_> = document.descendants().filter_map(|node| node.attribute("id")).collect();
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(ids.len(), unique.len(), "each once");
    for picture in document.descendants().filter(|node| node.attribute("role") == Some("img")) {
        let named = picture.attribute("aria-labelledby").unwrap_or("");
        assert!(!named.is_empty() && named.split(' ').all(|id| ids.contains(&id)), "{named}");
    }
    for head in document.descendants().filter(|node| node.has_tag_name("th")) {
        assert!(matches!(head.attribute("scope"), Some("col" | "row")));
    }
    let tables = document.descendants().filter(|node| node.has_tag_name("table"));
    assert!(tables.clone().count() > 2);
    assert!(tables.clone().all(|t| t.descendants().any(|node| node.has_tag_name("caption"))));
}

/// Relative luminance (WCAG 2.2).
fn luminance(colour: &str) -> f64 {
    let channel = |at: usize| {
        let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

/// Text, lines and dots can be told from the paper, in the light and in the dark.
#[test]
fn colours_have_contrast() {
    let html = page(&Report::default());
    let themes: Vec<&str> = html.split(":root").skip(1).collect();
    assert_eq!(themes.len(), 2);
    for theme in themes {
        let theme = &theme[..theme.find('}').unwrap()];
        let colours: Vec<(&str, &str)> = theme
            .split("--")
            .filter_map(|part| part.split_once(": "))
            .map(|(name, rest)| (name, rest.split(';').next().unwrap_or("").trim()))
            .filter(|(_, colour)| colour.starts_with('#'))
            .collect();
        let of = |wanted| colours.iter().find(|(name, _)| *name == wanted).unwrap().1;
        let paper = luminance(of("paper"));
        for (name, colour) in colours.iter().filter(|(name, _)| !["paper", "grid"].contains(name)) {
            let (one, two) = (luminance(colour).max(paper), luminance(colour).min(paper));
            let contrast = (one + 0.05) / (two + 0.05);
            assert!(contrast >= 4.5, "{name} {colour}: {contrast:.2}");
        }
        assert_eq!(colours.len(), 12);
    }
}
