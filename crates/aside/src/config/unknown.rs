//! Names that begin like settings of the cache, and are none: mistakes that
//! change nothing and are hard to see.

use crate::config::setting::{self, KIND_TTL, kind_of_ttl};

/// The beginnings of the settings' names.
const PREFIXES: [&str; 2] = ["CACHE_", "REDIS_"];

/// The beginnings of the variables that Kubernetes and Docker set for a service
/// called `redis`.
const OF_PLATFORMS: [&str; 3] = ["REDIS_PORT", "REDIS_SERVICE_", "REDIS_NAME"];

/// The greatest number of letters that differ from a suggested name.
const MAX_DISTANCE: usize = 3;

/// Returns a sentence for each name that the cache does not read although it
/// begins like one of its settings. Values are never shown.
pub(super) fn warnings<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let unknown = names.filter(|name| is_meant(name) && !is_known(name));
    unknown.map(warning).collect()
}

fn is_meant(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    PREFIXES.iter().any(|prefix| upper.starts_with(prefix))
        && !OF_PLATFORMS.iter().any(|prefix| upper.starts_with(prefix))
}

fn is_known(name: &str) -> bool {
    kind_of_ttl(name).is_some() || setting::ALL.iter().any(|setting| setting.name == name)
}

fn warning(name: &str) -> String {
    let shown = name.escape_debug();
    match nearest(name) {
        Some(near) => format!("{shown} is no setting and is ignored: perhaps {near} is meant"),
        None => format!("{shown} is no setting and is ignored: docs/settings.md lists all"),
    }
}

/// Returns the known name that differs least, if it differs little.
fn nearest(name: &str) -> Option<String> {
    let upper = name.to_ascii_uppercase();
    let (_, end) = KIND_TTL.name.split_once("{KIND}")?;
    let of_kind = upper
        .rsplit_once('_')
        .map(|(before, _)| format!("{before}{end}"))
        .filter(|ttl| kind_of_ttl(ttl).is_some());
    let known = setting::ALL.iter().map(|setting| setting.name.to_owned());
    // Settings with a fixed name come first if both are equally near.
    let all = known.chain(of_kind);
    let near = all.map(|known| (distance(&upper, &known), known));
    let (differing, near) = near.min_by_key(|(differing, _)| *differing)?;
    (differing <= MAX_DISTANCE).then_some(near)
}

/// Returns how many letters must be added, removed or replaced.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (place, against) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(letter != against);
            diagonal = row[place + 1];
            row[place + 1] = replaced.min(row[place] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_name_is_named_with_the_nearest_setting() {
        for (name, meant) in [
            ("CACHE_HERO_TLL", Some("CACHE_HERO_TTL")),
            ("CACHE_MAX_STALENESS", Some("CACHE_MAX_STALENESS_MS")),
            ("REDIS_URI", Some("REDIS_URL")),
            ("REDIS_PASWORD", Some("REDIS_PASSWORD")),
            ("redis_url", Some("REDIS_URL")),
            ("CACHE_DEFAULT_TTLS", Some("CACHE_DEFAULT_TTL")),
            ("REDIS_HOST", None),
            ("CACHE_SOMETHING_ELSE_ENTIRELY", None),
        ] {
            let said = warnings([name].into_iter());
            assert_eq!(said.len(), 1, "{name}");
            let begins = format!("{name} is no setting and is ignored");
            assert!(said[0].starts_with(&begins), "{said:?}");
            match meant {
                Some(meant) => assert!(said[0].ends_with(&format!("perhaps {meant} is meant"))),
                None => assert!(said[0].ends_with("docs/settings.md lists all"), "{said:?}"),
            }
        }
    }

    #[test]
    fn known_names_and_those_of_platforms_are_not_warned_of() {
        let known = setting::ALL.iter().map(|setting| setting.name);
        let known = known.filter(|name| *name != KIND_TTL.name);
        let others = [
            "CACHE_HERO_TTL",
            "CACHE_STORY_PART_TTL",
            "REDIS_PORT",
            "REDIS_PORT_6379_TCP_ADDR",
            "REDIS_SERVICE_HOST",
            "DATABASE_URL",
            "HOME",
        ];
        assert_eq!(warnings(known.chain(others)), Vec::<String>::new());
    }
}
