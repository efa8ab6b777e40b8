//! The answer to a requested state.

use super::table::clean;
use serde::Deserialize;

/// `POST /api/v1/services/NAME/real-servers/NAME/STATE`
#[derive(Deserialize)]
pub struct Requested {
    service: String,
    real_server: String,
    requested: String,
    generation: u64,
}

/// One line: what is so now.
pub fn render(answer: &Requested) -> String {
    let effect = match answer.requested.as_str() {
        "drain" => "gets no new connections; those that it has go on",
        "halt" => "gets no connections; those that it had are cut",
        _ => "is in service again, as far as its check agrees",
    };
    let (real_server, service) = (clean(&answer.real_server), clean(&answer.service));
    let requested = clean(&answer.requested);
    let generation = answer.generation;
    format!(
        "{real_server} of {service} is set to {requested} and {effect} (applied, generation \
         {generation})\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_says_what_is_so_now() {
        let answer = json!({"service": "WEB", "real_server": "WEB1", "requested": "drain",
            "generation": 42});
        assert_eq!(
            render(&serde_json::from_value(answer).unwrap()),
            "WEB1 of WEB is set to drain and gets no new connections; those that it has go on \
             (applied, generation 42)\n"
        );
    }
}
