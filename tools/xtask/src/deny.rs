//! The rules that dependencies keep: licences, sources, duplicates, and crates that are not
//! wanted. Works without a network, so it knows no advisories.

use crate::step::cargo;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Runs every rule over the dependency graph.
pub fn run() -> Result<()> {
    let rules: Rules = toml::from_str(&std::fs::read_to_string("deny.toml")?)?;
    let output = cargo().args(["metadata", "--format-version", "1", "--locked"]).output()?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let findings = rules.findings(&metadata.packages);
    if !findings.is_empty() {
        bail!("{}", findings.join("\n"));
    }
    println!("{} packages keep the rules of deny.toml", metadata.packages.len());
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Licenses {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bans {
    deny: BTreeSet<String>,
    skip: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Sources {
    allow_registry: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

impl Rules {
    fn findings(&self, packages: &[Package]) -> Vec<String> {
        let mut findings = Vec::new();
        let mut versions = BTreeMap::<&str, BTreeSet<&str>>::new();
        for package in packages {
            let Package { name, version, .. } = package;
            versions.entry(name).or_default().insert(version);
            let license = package.license.as_deref().unwrap_or("");
            if !allowed(license, &self.licenses.allow) {
                findings.push(format!("{name} {version}: licence \"{license}\" is not allowed"));
            }
            if !self.source_allowed(package.source.as_deref()) {
                findings.push(format!("{name} {version}: comes from {:?}", package.source));
            }
            if self.bans.deny.contains(name) {
                findings.push(format!("{name} {version}: not wanted"));
            }
        }
        for (name, versions) in versions {
            let (double, skipped) = (versions.len() > 1, self.bans.skip.contains(name));
            if double && !skipped {
                findings.push(format!("{name}: in versions {versions:?}; allow it in bans.skip"));
            }
        }
        findings
    }

    /// Packages of the workspace have no source.
    fn source_allowed(&self, source: Option<&str>) -> bool {
        source.is_none_or(|source| {
            let registry = source.strip_prefix("registry+").and_then(|url| url.rsplit('/').next());
            registry.is_some_and(|name| self.sources.allow_registry.contains(name))
        })
    }
}

/// Whether an SPDX expression can be met by allowed licences alone. `/` is an old way of writing
/// `OR`. An exception (`WITH`) only allows more, so it is not looked at.
fn allowed(expression: &str, licenses: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Spdx { words: &words, licenses };
    parser.either().is_some_and(|met| met && parser.words.is_empty())
}

struct Spdx<'a> {
    words: &'a [&'a str],
    licenses: &'a BTreeSet<String>,
}

impl Spdx<'_> {
    fn either(&mut self) -> Option<bool> {
        let mut met = self.all()?;
        while self.take("OR") {
            met |= self.all()?;
        }
        Some(met)
    }

    fn all(&mut self) -> Option<bool> {
        let mut met = self.one()?;
        while self.take("AND") {
            met &= self.one()?;
        }
        Some(met)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let met = self.either()?;
            return self.take(")").then_some(met);
        }
        let met = self.licenses.contains(self.next()?);
        if self.take("WITH") {
            self.next()?;
        }
        Some(met)
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.words.first() == Some(&word);
        if found {
            self.words = &self.words[1..];
        }
        found
    }

    fn next(&mut self) -> Option<&str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn licenses() -> BTreeSet<String> {
        ["MIT", "Apache-2.0"].map(String::from).into()
    }

    #[test]
    fn expressions() {
        let good = [
            "MIT",
            "MIT/GPL-3.0",
            "GPL-3.0 OR MIT",
            "(MIT OR GPL-3.0) AND Apache-2.0",
            "Apache-2.0 WITH LLVM-exception",
        ];
        for expression in good {
            assert!(allowed(expression, &licenses()), "{expression}");
        }
        for expression in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT", "MIT MIT", "OR MIT"] {
            assert!(!allowed(expression, &licenses()), "{expression}");
        }
    }

    #[test]
    fn every_rule_can_be_broken() {
        let rules = Rules {
            licenses: Licenses { allow: licenses() },
            bans: Bans { deny: ["bad".into()].into(), skip: ["two".into()].into() },
            sources: Sources { allow_registry: ["crates.io-index".into()].into() },
        };
        let registry = "registry+https://example.org/rust-lang/crates.io-index";
        let package = |name: &str, version: &str, license: &str, source: &str| Package {
            name: name.into(),
            version: version.into(),
            license: Some(license.into()),
            source: (!source.is_empty()).then(|| source.into()),
        };
        let good = [
            package("own", "1.0.0", "MIT", ""),
            package("two", "1.0.0", "MIT", registry),
            package("two", "2.0.0", "MIT", registry),
        ];
        assert_eq!(rules.findings(&good), Vec::<String>::new());
        let wrong = [
            package("bad", "1.0.0", "MIT", registry),
            package("viral", "1.0.0", "GPL-3.0", registry),
            package("forked", "1.0.0", "MIT", "git+https://example.org/forked"),
            package("double", "1.0.0", "MIT", registry),
            package("double", "2.0.0", "MIT", registry),
        ];
        assert_eq!(rules.findings(&wrong).len(), 4);
    }
}
