//! Two revisions held against each other.

use similar::Algorithm;

/// Lines shown around a change.
const CONTEXT: usize = 3;

/// A unified diff, empty when the texts are the same. Where two large texts have little in common
/// it is correct and not the shortest: the search for that could take hours.
pub(crate) fn unified(old: (&str, &str), new: (&str, &str)) -> String {
    similar::udiff::unified_diff(Algorithm::Myers, old.1, new.1, CONTEXT, Some((old.0, new.0)))
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
        assert_eq!(unified(("1", old), ("2", new)), want);
        assert_eq!(unified(("1", old), ("2", old)), "");
    }
}
