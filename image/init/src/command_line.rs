//! The kernel's command line, of which `fulcrum.…` is ours.

use std::fs;

/// Words `key=value`. Quotes keep white space together, as the kernel reads it.
#[derive(Debug, PartialEq, Eq)]
pub struct CommandLine(Vec<(String, String)>);

impl CommandLine {
    /// That of the running kernel. The environment does not do: the kernel keeps names with a dot
    /// for modules.
    pub fn running() -> Self {
        Self::parse(&fs::read_to_string("/proc/cmdline").unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        let mut words = vec![String::new()];
        let mut quoted = false;
        for character in text.chars() {
            match character {
                '"' => quoted = !quoted,
                c if c.is_whitespace() && !quoted => words.push(String::new()),
                c => words.last_mut().expect("never empty").push(c),
            }
        }
        let pair = |word: &String| match word.split_once('=') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None => (word.clone(), String::new()),
        };
        Self(words.iter().filter(|word| !word.is_empty()).map(pair).collect())
    }

    /// The value of a key; the last one wins. Empty for a word without `=`.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_key_counts_and_quotes_keep_words_together() {
        let line = CommandLine::parse("quiet a=1 console=\"ttyS0 x\" \"b=c d\"  a=2=3\n");
        assert_eq!(line.value("a"), Some("2=3"));
        assert_eq!(line.value("console"), Some("ttyS0 x"));
        assert_eq!(line.value("b"), Some("c d"));
        assert_eq!(line.value("quiet"), Some(""));
        assert_eq!(line.value("c"), None);
        assert_eq!(CommandLine::parse(" \"\" \n"), CommandLine(Vec::new()));
    }
}
