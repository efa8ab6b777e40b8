//! Columns of text.

/// Rows under a heading, each column as wide as its widest cell.
pub struct Table {
    rows: Vec<Vec<String>>,
    right: Vec<bool>,
}

impl Table {
    /// A heading; columns whose title begins with `>` are numbers and stand at the right.
    pub fn new(titles: &[&str]) -> Self {
        let right = titles.iter().map(|title| title.starts_with('>')).collect();
        let heading = titles.iter().map(|title| title.trim_start_matches('>').into()).collect();
        Self { rows: vec![heading], right }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [&str; N]) {
        self.rows.push(cells.iter().map(|cell| clean(cell)).collect());
    }

    /// The lines, each with `indent` spaces before it and none behind.
    pub fn render(&self, indent: usize) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.right.len()).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            for ((cell, width), right) in row.iter().zip(&widths).zip(&self.right) {
                let gap = " ".repeat(width - cell.chars().count());
                line += &if *right { gap + cell } else { cell.clone() + &gap };
                line += "  ";
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

/// Text that a terminal shows as it is: a real server's answer may hold escape sequences.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_left_and_numbers_right() {
        let mut table = Table::new(&["NAME", ">COUNT", "WHY"]);
        table.row(["é", "7", ""]);
        table.row(["longer", "1234567", "so"]);
        assert_eq!(
            table.render(2),
            "  NAME      COUNT  WHY\n  é             7\n  longer  1234567  so\n"
        );
    }

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        let mut table = Table::new(&["A"]);
        table.row(["\u{1b}[2Jgone\n"]);
        assert_eq!(table.render(0), "A\n\u{fffd}[2Jgone\u{fffd}\n");
    }
}
