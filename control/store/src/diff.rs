//! Two revisions held against each other.

use crate::error::{Error, Result};
use similar::Algorithm;

/// Lines shown around a change.
const CONTEXT: usize = 3;

/// Most lines that are compared, both texts together, from the first difference to the last. The
/// worst that can be made of so many takes about five seconds.
pub(crate) const MOST_LINES: usize = 1_000_000;

/// A unified diff, empty when the texts are the same. Where they have little in common it need not
/// be the shortest.
///
/// # Errors
/// When more than `most` lines lie between the first difference and the last.
pub(crate) fn unified(old: (&str, &str), new: (&str, &str), most: usize) -> Result<String> {
    let lines = lines_to_compare(old.1, new.1);
    if lines > most {
        return Err(Error::TooDifferent { lines, most });
    }
    let names = Some((old.0, new.0));
    Ok(similar::udiff::unified_diff(Algorithm::Myers, old.1, new.1, CONTEXT, names))
}

fn lines_to_compare(old: &str, new: &str) -> usize {
    let (before, after) = (old.lines().count(), new.lines().count());
    let first = old.lines().zip(new.lines()).take_while(|(a, b)| a == b).count();
    let shorter = before.min(after);
    let last = old.lines().rev().zip(new.lines().rev()).take_while(|(a, b)| a == b).count();
    before + after - 2 * (first + last).min(shorter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_patch_reads_it() {
        let old = "a = 1\nb = 2\nc = 3\nd = 4\ne = 5\n";
        let new = "a = 1\nb = 2\nc = 3\nd = 4\ne = 6";
        let want = "--- 1\n+++ 2\n@@ -2,4 +2,4 @@\n b = 2\n c = 3\n d = 4\n-e = 5\n+e = 6\n\
                    \\ No newline at end of file\n";
        assert_eq!(unified(("1", old), ("2", new), MOST_LINES).unwrap(), want);
        assert_eq!(unified(("1", old), ("2", old), 0).unwrap(), "");
    }

    #[test]
    fn only_what_lies_between_the_differences_counts() {
        for (old, new, lines) in [
            ("", "", 0),
            ("a\nb\nc\n", "a\nb\nc\n", 0),
            ("a\nb\nc\n", "a\nx\nc\n", 2),
            ("a\nb\nc\n", "a\nc\n", 1),
            ("a\na\na\n", "a\na\n", 1),
            ("x\nb\ny\n", "a\nb\nc\n", 6),
            ("", "a\nb", 2),
        ] {
            assert_eq!(lines_to_compare(old, new), lines, "{old:?} {new:?}");
        }
        let refused = unified(("1", "a\nb\nc\n"), ("2", "a\nx\nc\n"), 1);
        assert!(matches!(refused, Err(Error::TooDifferent { lines: 2, most: 1 })));
    }
}
