//! Whole numbers as JSON Schema has them: 3.0 is one.

use serde::Deserialize;
use serde::de::{Deserializer, Error};

#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Whole(u64),
    Point(f64),
}

/// A whole number that fits, or nothing.
pub fn read<'de, D: Deserializer<'de>, N: TryFrom<u64>>(from: D) -> Result<Option<N>, D::Error> {
    let wrong = || D::Error::custom("not a whole number, or out of range");
    let number = match Option::<Number>::deserialize(from).map_err(|_| wrong())? {
        None => return Ok(None),
        Some(Number::Whole(number)) => number,
        // Up to 2^53 a floating point number is as good as another.
        Some(Number::Point(point)) if point.fract() == 0.0 && (0.0..=9e15).contains(&point) => {
            point as u64
        }
        Some(Number::Point(_)) => return Err(wrong()),
    };
    N::try_from(number).map(Some).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    #[derive(serde::Deserialize)]
    struct Holder {
        #[serde(default, deserialize_with = "super::read")]
        number: Option<u32>,
    }

    #[test]
    fn three_is_three() {
        let read = |text: &str| serde_json::from_str::<Holder>(text).map(|it| it.number).ok();
        for text in ["{\"number\": 3}", "{\"number\": 3.0}", "{\"number\": 3e0}"] {
            assert_eq!(read(text), Some(Some(3)), "{text}");
        }
        assert_eq!((read("{}"), read("{\"number\": null}")), (Some(None), Some(None)));
        for text in ["3.5", "-1", "\"3\"", "4294967296", "1e300", "[]"] {
            assert_eq!(read(&format!("{{\"number\": {text}}}")), None, "{text}");
        }
    }
}
