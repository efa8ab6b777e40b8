//! Did you mean: the nearest word by edit distance.

/// The candidate that `word` was most likely meant to be, if one is near enough: one slip in three
/// letters, a swap of neighbours counts as one.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    const LONGEST: usize = 40; // keeps the square of the length harmless
    if word.len() > LONGEST {
        return None;
    }
    let slips = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= slips)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance: insertions, deletions, replacements, neighbour swaps.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        rows[i][0] = i;
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger_are_recognised() {
        let keys = ["name", "address", "weight", "max_connections", "min_connections"];
        assert_eq!(nearest("wieght", keys), Some("weight"));
        assert_eq!(nearest("adress", keys), Some("address"));
        assert_eq!(nearest("max_connection", keys), Some("max_connections"));
        assert_eq!(nearest("colour", keys), None);
        assert_eq!(nearest(&"a".repeat(1_000_000), keys), None);
    }

    #[test]
    fn distances() {
        for (a, b, d) in [("", "", 0), ("", "ab", 2), ("ab", "ba", 1), ("kitten", "sitting", 3)] {
            assert_eq!(distance(a, b), d, "{a} {b}");
        }
    }
}
