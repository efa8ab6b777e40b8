//! Types that are one of some words in the file.

macro_rules! words {
    ($name:ident, $what:literal: $($variant:ident = $text:literal),* $(,)?) => {
        impl $name {
            #[doc = concat!("Every ", $what, " with its word in the file.")]
            pub const WORDS: &'static [(&'static str, Self)] = &[$(($text, Self::$variant)),*];

            /// The word in the file.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
    };
}

pub(crate) use words;
