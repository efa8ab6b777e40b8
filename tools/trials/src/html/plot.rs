//! A plot of series over categories as SVG. Names of series are in a legend beside it, in text, so that
//! nothing in the picture has to find room for them.

use std::fmt::Write;

/// See the module.
pub(crate) struct Plot {
    /// What it shows.
    pub title: String,
    /// What a point says, and which way is better.
    pub meaning: &'static str,
    /// What the categories are.
    pub across: &'static str,
    /// What the values are, and their unit.
    pub up: &'static str,
    /// Names of the places on the horizontal axis.
    pub categories: Vec<String>,
    /// What is drawn.
    pub series: Vec<Series>,
    /// Decades, not even steps.
    pub decades: bool,
}

/// One line of a plot.
pub(crate) struct Series {
    /// For the legend and the table.
    pub name: String,
    /// By category; none where nothing was measured.
    pub values: Vec<Option<f64>>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 64.0;
/// What a character of the axes' text takes at most.
const CHARACTER: f64 = 8.0;
/// Longer names of categories are cut; the table has them whole.
const LONGEST: usize = 10;
/// Styles of lines that the page has.
pub(crate) const STYLES: usize = 8;

impl Plot {
    /// The picture. `id` is unique in the page.
    pub fn svg(&self, id: &str) -> String {
        let mut out = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\" \
             xmlns=\"http://www.w3.org/2000/svg\"><title id=\"{id}-t\">{}</title>\
             <desc id=\"{id}-d\">{} by {}. The table below has the same figures.</desc>",
            escape(&self.title),
            escape(self.up),
            escape(self.across),
        );
        let scale = self.scale();
        self.axes(&mut out, &scale);
        for (number, series) in self.series.iter().enumerate() {
            self.line(&mut out, &scale, number, series);
        }
        out.push_str("</svg>");
        out
    }

    fn scale(&self) -> Scale {
        let values = self.series.iter().flat_map(|series| &series.values).flatten().copied();
        let values = values.filter(|value| value.is_finite() && *value > 0.0);
        let (mut least, mut most) = (f64::INFINITY, 0.0f64);
        for value in values {
            least = least.min(value);
            most = most.max(value);
        }
        match self.decades {
            true => Scale::decades(if most > 0.0 { least } else { 1.0 }, most),
            false => Scale::even(most),
        }
    }

    fn axes(&self, out: &mut String, scale: &Scale) {
        for &tick in &scale.ticks {
            let y = scale.y(tick);
            let _ = write!(
                out,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                y + 4.5,
                short(tick)
            );
        }
        let names: Vec<String> = self.categories.iter().map(|name| cut(name)).collect();
        let widest = names.iter().map(|name| name.chars().count()).max().unwrap_or(1);
        let each = (WIDTH - LEFT - RIGHT) / names.len().max(1) as f64;
        // Where not every name has room, every second has, or every third.
        let step = ((widest as f64 + 1.0) * CHARACTER / each).ceil().max(1.0) as usize;
        for (at, name) in names.iter().enumerate().step_by(step) {
            let (x, y) = (self.x(at), HEIGHT - BOTTOM + 20.0);
            let name = escape(name);
            let _ =
                write!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{name}</text>");
        }
        let _ = write!(
            out,
            "<text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text class=\"axis\" x=\"{:.1}\" y=\"16\" text-anchor=\"middle\" \
             transform=\"rotate(-90)\">{}</text>",
            LEFT + (WIDTH - LEFT - RIGHT) / 2.0,
            HEIGHT - 14.0,
            escape(self.across),
            -(TOP + (HEIGHT - TOP - BOTTOM) / 2.0),
            escape(self.up)
        );
    }

    fn line(&self, out: &mut String, scale: &Scale, number: usize, series: &Series) {
        let points: Vec<(f64, f64)> = series
            .values
            .iter()
            .enumerate()
            .filter_map(|(at, value)| value.map(|value| (self.x(at), scale.y(value))))
            .collect();
        let style = number % STYLES;
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = write!(out, "<polyline class=\"line s{style}\" points=\"{}\"/>", path.join(" "));
        for (x, y) in points {
            let _ =
                write!(out, "<circle class=\"dot s{style}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>");
        }
    }

    fn x(&self, category: usize) -> f64 {
        let each = (WIDTH - LEFT - RIGHT) / self.categories.len().max(1) as f64;
        LEFT + (category as f64 + 0.5) * each
    }
}

/// From values to places on the vertical axis.
struct Scale {
    ticks: Vec<f64>,
    decades: bool,
}

impl Scale {
    /// From zero on in steps of 1, 2 or 5 times a power of ten, six at most.
    fn even(most: f64) -> Self {
        let most = if most > 0.0 { most } else { 1.0 };
        let power = 10f64.powf((most / 6.0).log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
        let step = steps.into_iter().find(|step| most / step <= 6.0).unwrap_or(most);
        let count = (most / step).ceil() as u32;
        Self { ticks: (0..=count).map(|n| f64::from(n) * step).collect(), decades: false }
    }

    /// The decades that hold both, one at least.
    fn decades(least: f64, most: f64) -> Self {
        let first = least.max(1e-3).log10().floor() as i32;
        let last = (most.max(1e-3).log10().ceil() as i32).max(first + 1);
        Self { ticks: (first..=last).map(|power| 10f64.powi(power)).collect(), decades: true }
    }

    fn y(&self, value: f64) -> f64 {
        let (first, last) = (self.ticks.first().copied(), self.ticks.last().copied());
        let (first, last) = (first.unwrap_or(0.0), last.unwrap_or(1.0));
        let part = match self.decades {
            true => (value.max(first) / first).log10() / (last / first).log10(),
            false => (value - first) / (last - first),
        };
        let bottom = HEIGHT - BOTTOM;
        bottom - part.clamp(0.0, 1.0) * (bottom - TOP)
    }
}

/// A figure with three digits and k, M or G.
pub(crate) fn short(value: f64) -> String {
    let (value, unit) = match value.abs() {
        v if v >= 1e9 => (value / 1e9, "G"),
        v if v >= 1e6 => (value / 1e6, "M"),
        v if v >= 1e3 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = match value.abs() {
        v if v >= 100.0 || v == 0.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text}{unit}")
}

/// Text that is nothing but text, in HTML and in XML.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            control if control.is_control() => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}

fn cut(name: &str) -> String {
    match name.chars().count() > LONGEST {
        true => name.chars().take(LONGEST - 1).chain(['…']).collect(),
        false => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (1.0, "1"),
            (14_880_952.0, "14.9M"),
            (500.0, "500"),
            (100_000.0, "100k"),
            (2.5e9, "2.5G"),
        ] {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn axes_hold_their_values_in_few_steps() {
        for most in [0.0, 0.3, 1.0, 5.9, 6.1, 14.88e6, 9.9e9] {
            let ticks = Scale::even(most).ticks;
            assert!((2..=8).contains(&ticks.len()), "{most}: {ticks:?}");
            assert!(ticks.last().is_some_and(|last| *last >= most));
        }
        assert_eq!(Scale::decades(3.0, 3.0).ticks, [1.0, 10.0]);
        assert_eq!(Scale::decades(0.5, 200.0).ticks, [0.1, 1.0, 10.0, 100.0, 1000.0]);
        let scale = Scale::decades(1.0, 100.0);
        let middle = (scale.y(1.0) + scale.y(100.0)) / 2.0;
        assert!((scale.y(10.0) - middle).abs() < 1e-9 && scale.y(100.0) < scale.y(1.0));
    }
}
