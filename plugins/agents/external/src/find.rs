//! Where the program of an adapter is, and whether it runs: the version question decides.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use tokio::task::spawn_blocking;

use crate::{adapter::Adapter, externals::Ground, question::ask, view::Execution};

/// How many programs of one name are tried.
const MAX_TRIED: usize = 16;
/// How much of a version is kept, in bytes.
const VERSION_BYTES: usize = 256;

/// What was found for an adapter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    /// The program that runs, else the first that does not, else what was looked for.
    pub(crate) program: PathBuf,
    pub(crate) version: Option<String>,
    pub(crate) execution: Execution,
    /// In Unix seconds.
    pub(crate) at: i64,
}

/// Where the program may be, the likeliest first. A variable of the adapter's own, `CARPORT_{ID}_BIN`
/// or `CAR_{ID}_BIN`, or an absolute path in its table is the only place. Blocks on the disk.
fn places(adapter: &Adapter, environment: &BTreeMap<String, String>) -> Vec<PathBuf> {
    let word = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    let id: String = adapter.id().to_ascii_uppercase().chars().map(word).collect();
    let named = ["CARPORT", "CAR"].map(|prefix| environment.get(&format!("{prefix}_{id}_BIN")));
    if let Some(path) = named.into_iter().flatten().find(|it| !it.is_empty()) {
        return vec![path.into()];
    }
    if Path::new(&adapter.binary).is_absolute() {
        return vec![PathBuf::from(&adapter.binary)];
    }
    let path = environment.get("PATH").map(String::as_str).unwrap_or_default();
    let mut places: Vec<PathBuf> = Vec::new();
    let directories = std::env::split_paths(path).filter(|it| it.is_absolute());
    for place in directories.map(|it| it.join(&adapter.binary)).filter(|it| it.is_file()) {
        if !places.contains(&place) && places.len() < MAX_TRIED {
            places.push(place);
        }
    }
    places
}

/// Looks for the program of an adapter, and asks each that is there until one runs.
pub(crate) async fn find(ground: &Ground, adapter: &Adapter) -> Found {
    let at = ground.clock.now().timestamp();
    let (own, environment) = (adapter.clone(), ground.environment.clone());
    let looked = spawn_blocking(move || places(&own, &environment)).await;
    let places = looked.unwrap_or_default();
    let first = places.first().cloned().unwrap_or_else(|| adapter.binary.clone().into());
    let mut reasons = Vec::new();
    for program in places {
        match version(ground, adapter, &program).await {
            Ok(version) => return Found { program, version, execution: Execution::Runnable, at },
            Err(why) => reasons.push(format!("`{}`: {why}", program.display())),
        }
    }
    if reasons.is_empty() {
        reasons.push(format!("`{}` is not on the PATH", adapter.binary));
    }
    let reason = reasons.join("; ");
    let execution = Execution::Unusable { reason, checked_at: at };
    Found { program: first, version: None, execution, at }
}

async fn version(
    ground: &Ground,
    adapter: &Adapter,
    program: &Path,
) -> Result<Option<String>, String> {
    let answer = ask(ground, adapter, program, &adapter.version_args).await?;
    match answer.code {
        Some(0) => Ok(first_line(&answer.text)),
        Some(code) => Err(format!("the version question ended with code {code}")),
        None => Err("the version question ended by a signal".into()),
    }
}

fn first_line(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let line: String = line.chars().filter(|it| !it.is_control()).collect();
    Some(line[..line.floor_char_boundary(VERSION_BYTES)].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::builtin_tables;

    fn places_of(id: &str, variables: &[(&str, &str)]) -> Vec<PathBuf> {
        let adapter = Adapter::new(id, builtin_tables().remove(id).unwrap()).unwrap();
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        places(&adapter, &variables.iter().map(own).collect())
    }

    #[test]
    fn a_variable_ends_the_search() {
        let both = [("CAR_CLAUDE_CODE_BIN", "/car"), ("CARPORT_CLAUDE_CODE_BIN", "/carport")];
        assert_eq!(places_of("claude-code", &both), [PathBuf::from("/carport")]);
        assert_eq!(places_of("claude-code", &both[..1]), [PathBuf::from("/car")]);
        assert!(places_of("codex", &both).is_empty());
    }

    #[test]
    fn a_version_is_one_short_line() {
        assert_eq!(first_line("\n 1.2.3 (Fake)\x1b[0m\nmore"), Some("1.2.3 (Fake)[0m".into()));
        assert_eq!(first_line(" \n"), None);
        assert_eq!(first_line(&"ü".repeat(200)).unwrap().len(), VERSION_BYTES);
    }
}
