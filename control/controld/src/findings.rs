//! Findings as the API tells them: with a JSON pointer besides the operator's key.

use rest::problem::{Finding, Severity};

/// All findings of a text, in its order.
pub fn told(text: &str, findings: &config::Findings) -> Vec<Finding> {
    let document: Option<toml::Table> = text.parse().ok();
    let told = |(severity, finding): (config::Severity, &config::Finding)| Finding {
        severity: match severity {
            config::Severity::Error => Severity::Error,
            config::Severity::Warning => Severity::Warning,
            config::Severity::Note => Severity::Note,
        },
        pointer: pointer(document.as_ref(), &finding.key),
        key: finding.key.clone(),
        line: u32::try_from(finding.line).ok(),
        what: finding.what.clone(),
        remedy: finding.write.clone(),
    };
    findings.iter().map(told).collect()
}

/// `service[WEB].real_server[WEB1].port` as `/service/0/real_server/1/port` (RFC 6901). Where the
/// text cannot be read as TOML, names stand for numbers.
fn pointer(document: Option<&toml::Table>, key: &str) -> String {
    if key == "(file)" {
        return String::new();
    }
    let mut pointer = String::new();
    let mut here = document.map(|table| toml::Value::Table(table.clone()));
    for step in steps(key) {
        pointer.push('/');
        pointer.push_str(&escaped(step.name));
        here = here.and_then(|value| value.get(step.name).cloned());
        if let Some(element) = step.element {
            let index = here.as_ref().and_then(|list| index(list, element));
            here = here.and_then(|list| list.get(index?).cloned());
            pointer.push('/');
            pointer.push_str(&index.map_or_else(|| escaped(element), |index| index.to_string()));
        }
    }
    pointer
}

struct Step<'a> {
    name: &'a str,
    element: Option<&'a str>,
}

/// The key's parts. Names of elements may have dots in them, never brackets.
fn steps(key: &str) -> impl Iterator<Item = Step<'_>> {
    let mut rest = key;
    std::iter::from_fn(move || {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if rest.is_empty() {
            return None;
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        rest = behind;
        let element = behind.strip_prefix('[').and_then(|inner| {
            let (element, behind) = inner.split_once(']')?;
            rest = behind;
            Some(element)
        });
        if name.is_empty() && element.is_none() {
            rest = "";
            return None;
        }
        Some(Step { name, element })
    })
}

/// The position of the element with that name; nameless ones are counted, with `#` from 1.
fn index(list: &toml::Value, element: &str) -> Option<usize> {
    let named = |value: &toml::Value| value.get("name").and_then(|n| n.as_str()) == Some(element);
    let counted = || match element.strip_prefix('#') {
        Some(number) => number.parse::<usize>().ok()?.checked_sub(1),
        None => element.parse().ok(),
    };
    list.as_array()?.iter().position(named).or_else(counted)
}

fn escaped(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_count_from_the_top() {
        let text = "[[service]]\nname = \"A\"\n[[service]]\nname = \"B.b\"\n\
                    [[service.real_server]]\nname = \"R\"\n";
        let document: toml::Table = text.parse().unwrap();
        let cases = [
            ("service[B.b].real_server[R].port", "/service/1/real_server/0/port"),
            ("service[A].ports", "/service/0/ports"),
            ("dataplane.workers", "/dataplane/workers"),
            ("", ""),
            ("a/b~c", "/a~1b~0c"),
            ("service[#2].name", "/service/1/name"),
            ("interface[eth0].neighbours[2]", "/interface/eth0/neighbours/2"),
            ("(file)", ""),
            ("service[nobody].name", "/service/nobody/name"),
            ("[", ""),
        ];
        for (key, expected) in cases {
            assert_eq!(pointer(Some(&document), key), expected, "{key}");
        }
        assert_eq!(pointer(None, "service[A].ports"), "/service/A/ports");
    }
}
