//! Rules that no request ever meets: because their conditions contradict each other, or because an
//! earlier rule has answered already.

use crate::cx::{Cx, Scope};
use crate::net::Prefix;
use crate::rule::{Action, Condition, Rule, Subject, Test};

/// Comparisons of words for one file; what is beyond is taken for good. A file of the largest size
/// could ask for hours of them.
pub(super) const BUDGET: usize = 10_000_000;

pub(super) fn check(cx: &mut Cx<'_>, position: usize, rules: &[Rule], budget: &mut usize) {
    let asked: Vec<Vec<Condition>> = rules.iter().map(conditions).collect();
    let parts: Vec<usize> = rules.iter().map(|rule| rule.cost().1).collect();
    let earlier = |number: usize| (0..number).filter(|&before| rules[before].answers());
    for (number, when) in asked.iter().enumerate() {
        let others: usize = earlier(number).map(|before| parts[before]).sum();
        let cost = parts[number].saturating_mul(parts[number] + others);
        let Some(left) = budget.checked_sub(cost) else { return };
        *budget = left;
        let scope = Scope::Rule(position, number);
        if contradict(when) {
            let what = "no request can meet all of its conditions";
            cx.warn(scope, "", what, "conditions that agree, or a rule for each");
            continue;
        }
        let met = |before: &usize| {
            asked[*before].iter().all(|asked| when.iter().any(|it| implies(it, asked)))
        };
        if let Some(first) = earlier(number).find(met) {
            let line = cx.line(Scope::Rule(position, first), "");
            let what = format!("never met: the rule in line {line} answers all of its requests");
            cx.warn(scope, "", what, "this rule before that one, or another condition there");
        }
    }
}

/// What the rule asks for, and its actions besides.
fn conditions(rule: &Rule) -> Vec<Condition> {
    let scheme = |word: &str| {
        let test = Test::Is(vec![word.into()]);
        Condition { subject: Subject::Scheme, test, not: false }
    };
    let mut all = rule.when.clone();
    match rule.then.as_slice() {
        [Action::ForceHttps { .. }] => all.push(scheme("http")),
        [Action::StrictTransport { .. }] => all.push(scheme("https")),
        _ => {}
    }
    all
}

/// Whether whatever meets `a` meets `b`.
fn implies(a: &Condition, b: &Condition) -> bool {
    let same = a.subject == b.subject && a.not == b.not;
    match a.not {
        false => same && covers(&b.test, &a.test),
        true => same && covers(&a.test, &b.test),
    }
}

/// Whether no request can meet them all.
fn contradict(all: &[Condition]) -> bool {
    let pairs =
        all.iter().enumerate().flat_map(|(at, a)| all.iter().skip(at + 1).map(move |b| (a, b)));
    let mut pairs = pairs.filter(|(a, b)| a.subject == b.subject);
    pairs.any(|(a, b)| match (a.not, b.not) {
        (false, false) => is_single(&a.subject) && apart(&a.test, &b.test),
        (false, true) => covers(&b.test, &a.test),
        (true, false) => covers(&a.test, &b.test),
        (true, true) => false,
    })
}

/// Whether a request has at most one of it. A parameter or a header may come several times, each
/// time with another value.
fn is_single(subject: &Subject) -> bool {
    !matches!(subject, Subject::Parameter(_) | Subject::Header(_))
}

/// Whether whatever passes `narrow` passes `wide`.
fn covers(wide: &Test, narrow: &Test) -> bool {
    match (wide, narrow) {
        (Test::Present, _) => true,
        (Test::Within(wide), Test::Within(narrow)) => narrow
            .iter()
            .all(|it| wide.iter().any(|w| w.len() <= it.len() && w.contains(it.address()))),
        _ => match (words(wide), words(narrow)) {
            (Some(wide_words), Some(narrow_words)) => narrow_words
                .iter()
                .all(|it| wide_words.iter().any(|w| word_covers((wide, w), (narrow, it)))),
            _ => false,
        },
    }
}

/// The same of one word of each.
fn word_covers((wide, w): (&Test, &str), (narrow, n): (&Test, &str)) -> bool {
    match (wide, narrow) {
        (Test::Is(_), Test::Is(_)) => w == n,
        (Test::Begins(_), Test::Is(_) | Test::Begins(_)) => n.starts_with(w),
        (Test::Ends(_), Test::Is(_) | Test::Ends(_)) => n.ends_with(w),
        (Test::Contains(_), _) => n.contains(w),
        _ => false,
    }
}

/// Whether nothing passes both.
fn apart(a: &Test, b: &Test) -> bool {
    if let (Test::Within(a), Test::Within(b)) = (a, b) {
        return !a.iter().any(|a| b.iter().any(|b| meet(a, b)));
    }
    let (Some(a_words), Some(b_words)) = (words(a), words(b)) else { return false };
    let both = |x: &str, y: &str| match (a, b) {
        (Test::Is(_), _) => word_covers((b, y), (a, x)),
        (_, Test::Is(_)) => word_covers((a, x), (b, y)),
        (Test::Begins(_), Test::Begins(_)) => x.starts_with(y) || y.starts_with(x),
        (Test::Ends(_), Test::Ends(_)) => x.ends_with(y) || y.ends_with(x),
        _ => true,
    };
    !a_words.iter().any(|x| b_words.iter().any(|y| both(x, y)))
}

fn meet(a: &Prefix, b: &Prefix) -> bool {
    a.contains(b.address()) || b.contains(a.address())
}

fn words(test: &Test) -> Option<&[String]> {
    match test {
        Test::Is(words) | Test::Begins(words) | Test::Ends(words) | Test::Contains(words) => {
            Some(words)
        }
        Test::Present | Test::Within(_) => None,
    }
}
