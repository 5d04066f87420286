//! Can caches be written, and logins of registries be read?

use std::ffi::OsStr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use serde_json::Value;

use wagi::counted;

use crate::cli::commands::doctor::finding::Finding;
use crate::cli::commands::doctor::system::free_space;
use crate::cli::commands::doctor::toolchains::find;
use crate::cli::commands::size;

/// The free space below which caches may not fit.
const LITTLE_SPACE: u64 = 512 << 20;

/// The largest file of logins that is read.
const MAX_LOGINS: u64 = 4 << 20;

/// Looks at the cache of the user, at this directory, and at the files with logins.
pub(super) fn look(user_cache: Option<&Path>, credentials: &[std::path::PathBuf], search_path: &OsStr) -> Vec<Finding> {
    let mut findings = vec![cache(user_cache)];
    findings.extend(readable(Path::new("modules.toml")));
    findings.extend(privileges(rustix::process::geteuid().as_raw()));
    for path in credentials {
        findings.extend(logins(path, search_path));
    }
    findings
}

fn cache(user_cache: Option<&Path>) -> Finding {
    let Some(path) = user_cache else {
        let cure = "set HOME or XDG_CACHE_HOME, or name directories with --module-cache and --cache";
        return Finding::missing("cache", "no directory for caches: each start compiles and fetches anew", cure);
    };
    let shown = path.display();
    let existing = path.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
    if let Err(error) = rustix::fs::access(existing, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK) {
        let cure = format!("make `{shown}` a directory of the user that runs wagi, with mode 0700");
        return Finding::missing("cache", format!("`{}` cannot be written to: {error}", existing.display()), cure);
    }
    if let Ok(metadata) = path.metadata()
        && (metadata.mode() & 0o022 != 0 || metadata.uid() != rustix::process::geteuid().as_raw())
    {
        let cure = format!("`chown` it to the user that runs wagi, and `chmod go-w {shown}`");
        return Finding::bad("cache", format!("others can write to `{shown}`: it is not used"), cure);
    }
    match free_space(existing) {
        Some(free) if free < LITTLE_SPACE => {
            let cure = "`wagi cache prune --unused-for 30d`, or make room";
            Finding::missing("cache", format!("`{shown}` has only {} left", size(free)), cure)
        }
        free => Finding::good("cache", format!("`{shown}`, {} free", free.map_or_else(|| "?".to_owned(), size))),
    }
}

/// A configuration in this directory, if there is one.
fn readable(path: &Path) -> Option<Finding> {
    let shown = path.display();
    if !path.exists() {
        return None;
    }
    Some(match std::fs::File::open(path) {
        Ok(_) => Finding::good("permission", format!("`{shown}` can be read; `wagi check` says whether it is right")),
        Err(error) => {
            let cure = format!("`chmod u+r {shown}`, or run wagi as its owner");
            Finding::bad("permission", format!("`{shown}` cannot be read: {error}"), cure)
        }
    })
}

fn privileges(user: u32) -> Option<Finding> {
    (user == 0).then(|| {
        let cure = "run the server as a user of its own; the unit in packaging/ does";
        Finding::missing("permission", "this is root: a server does not need that", cure)
    })
}

/// The logins of a file, if it is there: whether others can read them, and whether their helpers are there.
fn logins(path: &Path, search_path: &OsStr) -> Vec<Finding> {
    let shown = path.display();
    let Ok(metadata) = path.metadata() else { return Vec::new() };
    let unreadable = |what: String| {
        vec![Finding::missing("login", format!("`{shown}` {what}"), "log in again: `wagi login REGISTRY`")]
    };
    if !metadata.is_file() || metadata.len() > MAX_LOGINS {
        return unreadable("is no file with logins".to_owned());
    }
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return unreadable(format!("cannot be read: {error}")),
    };
    let Ok(content) = serde_json::from_str::<Value>(&text) else { return unreadable("is not JSON".to_owned()) };
    let mut findings = Vec::new();
    if metadata.permissions().mode() & 0o077 != 0 && content["auths"].is_object() {
        let cure = format!("`chmod 600 {shown}`");
        findings.push(Finding::missing("login", format!("others can read the passwords in `{shown}`"), cure));
    }
    let helpers = content["credHelpers"].as_object().into_iter().flat_map(|helpers| helpers.values());
    for helper in helpers.chain([&content["credsStore"]]).filter_map(Value::as_str) {
        let program = format!("docker-credential-{helper}");
        if helper.contains('/') || find(&program, search_path).is_none() {
            let cure = format!("install `{program}`, or remove it from `{shown}` and log in with `wagi login`");
            findings.push(Finding::missing(
                "login",
                format!("`{shown}` names `{program}`, which is not on the PATH"),
                cure,
            ));
        }
    }
    let registries = content["auths"].as_object().map_or(0, serde_json::Map::len);
    if findings.is_empty() {
        let registries = counted(registries, "registry", "registries");
        findings.push(Finding::good("login", format!("`{shown}`: {registries}")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use crate::cli::commands::doctor::finding::FindingState;
    use crate::cli::commands::doctor::storage::*;

    #[test]
    fn logins_that_others_can_read_and_helpers_that_are_missing_have_a_cure() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("config.json");
        let look = |text: &str, mode: u32| {
            std::fs::write(&path, text).expect("a file");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
            logins(&path, OsStr::new("/nowhere"))
        };
        let found = look("{\"auths\": {\"a.example\": {}}}", 0o600);
        assert_eq!((found.len(), found[0].state), (1, FindingState::Good));
        let found = look("{\"auths\": {}}", 0o644);
        assert!(found[0].cure.as_ref().is_some_and(|cure| cure.contains("chmod 600")), "{found:?}");
        let found = look("{\"credsStore\": \"none\", \"credHelpers\": {\"b\": \"../x\"}}", 0o600);
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|finding| finding.state == FindingState::Missing));
        assert!(look("no json", 0o600)[0].what.ends_with("is not JSON"));
        assert_eq!(logins(Path::new("/no/such"), OsStr::new("")), []);
    }

    #[test]
    fn a_cache_that_others_can_write_to_is_bad() {
        let directory = tempfile::tempdir().expect("a directory");
        assert_eq!(cache(Some(&directory.path().join("new/wagi"))).state, FindingState::Good);
        std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).expect("it is ours");
        assert_eq!(cache(Some(directory.path())).state, FindingState::Bad);
        assert_eq!(cache(None).state, FindingState::Missing);
    }
}
