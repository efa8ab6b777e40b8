//! What was measured, as text and as JSON.

use super::peers::Peer;
use super::rows::Row;
use serde_json::json;

/// The figures of one peer in one row, by pass.
#[derive(Debug)]
pub struct Column {
    /// Whose.
    pub peer: Peer,
    /// One for each pass; `None` where there was none.
    pub figures: Vec<Option<f64>>,
    /// Why one was missing.
    pub reason: Option<String>,
}

/// The head of the table.
pub fn head() {
    println!(
        "{:<14} {:<22} {:>12} {:<17} {:>6} {:>15} {:>9}",
        "row", "program", "median", "unit", "ratio", "(min - max)", "target"
    );
}

/// One row of it.
pub fn print(row: &Row, columns: &[Column], as_json: bool) {
    // Without HAProxy several of ours are compared with the first one.
    let reference = columns.iter().find(|column| column.peer == row.reference());
    let reference = reference.or(columns.first());
    for column in columns {
        let mut figures: Vec<f64> = column.figures.iter().flatten().copied().collect();
        let mut ratios = ratios(column, reference);
        let figure = crate::median(&mut figures);
        let ratio = (!ratios.is_empty()).then(|| crate::median(&mut ratios));
        let is_ours = matches!(column.peer, Peer::Fulcrum(..));
        let met = is_ours && row.target.is_met(figure, ratio);
        if figures.is_empty() {
            let reason = column.reason.as_deref().unwrap_or_default();
            println!("{:<14} {:<22} {:>12} {reason}", row.name, column.peer.to_string(), "-");
        } else {
            let range = match (ratios.first(), ratios.last()) {
                (Some(least), Some(most)) => format!("({least:.2} - {most:.2})"),
                _ => String::new(),
            };
            let verdict = match (is_ours, met) {
                (false, _) => String::new(),
                (true, true) => format!("{} met", row.target),
                (true, false) => format!("{} missed", row.target),
            };
            let ratio = ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
            println!(
                "{:<14} {:<22} {:>12} {:<17} {ratio:>6} {range:>15} {verdict}",
                row.name,
                column.peer.to_string(),
                text(figure),
                row.unit()
            );
        }
        if as_json {
            let target = is_ours.then(|| row.target.to_string());
            let line = json!({"row": row.name, "program": column.peer.to_string(),
                "unit": row.unit(), "median": (!figures.is_empty()).then_some(figure),
                "figures": column.figures, "ratio": ratio, "target": target,
                "met": is_ours.then_some(met), "reason": column.reason});
            println!("{line}");
        }
    }
}

/// Each pass's figure to the reference's of the same pass.
fn ratios(column: &Column, reference: Option<&Column>) -> Vec<f64> {
    let Some(reference) = reference.filter(|reference| reference.peer != column.peer) else {
        return Vec::new();
    };
    let pairs = column.figures.iter().zip(&reference.figures);
    pairs
        .filter_map(|(figure, base)| Some((*figure)? / (*base).filter(|base| *base > 0.0)?))
        .collect()
}

fn text(figure: f64) -> String {
    if figure >= 100.0 { format!("{figure:.0}") } else { format!("{figure:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_without_both_figures_has_no_ratio() {
        let column = |peer, figures: &[Option<f64>]| Column {
            peer,
            figures: figures.to_vec(),
            reason: None,
        };
        let base = column(Peer::HaProxy, &[Some(2.0), None, Some(4.0), Some(0.0)]);
        let ours = column(Peer::Nginx, &[Some(3.0), Some(1.0), None, Some(1.0)]);
        assert_eq!(ratios(&ours, Some(&base)), [1.5]);
        assert_eq!(ratios(&base, Some(&base)), [0.0; 0]);
    }
}
