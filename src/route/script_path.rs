//! Which script does a path lead to?
//!
//! RFC 3875 §3.2 and §3.3, as Apache's `Action` does it: the path is walked from the left; the first segment that names a regular
//! file with the extension of a script is the script, and the rest is PATH_INFO. The index of a directory stands for the
//! directory. A pure function over an abstract directory; `static_files` has the real one.

use crate::route::file_name::{file_name, is_hidden};

/// Which files of a directory are scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptRules {
    /// The endings of the names of scripts, each with its dot.
    endings: Vec<String>,
    /// The names that stand for a directory.
    index: Vec<String>,
}

/// What lies at a path below a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

/// A directory with scripts.
pub trait ScriptDirectory {
    /// Why the directory does not say what it has.
    type Error;

    /// What lies at a path below it, which has no slash at either end; an empty path is the directory itself. `None` if there is
    /// nothing that is served.
    fn kind(&self, path: &str) -> Result<Option<PathKind>, Self::Error>;
}

/// A script, and what the path says behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptPath {
    /// Its path below the directory, decoded, such as `app/blog.php`.
    pub script: String,
    /// The rest of the path of the request, still encoded: empty, or with a slash at its begin.
    pub path_info: String,
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptWalk {
    /// To a script.
    Script(ScriptPath),
    /// To a directory, without the slash at its end.
    Directory,
    /// To no script.
    Nothing,
}

impl ScriptRules {
    /// Rules for scripts with these extensions, without their dots, in directories with these indexes.
    pub fn new(extensions: &[String], index: &[String]) -> Self {
        Self { endings: extensions.iter().map(|extension| format!(".{extension}")).collect(), index: index.to_vec() }
    }

    /// Whether a file of this name is a script.
    pub fn is_script(&self, name: &str) -> bool {
        self.endings.iter().any(|ending| name.len() > ending.len() && name.ends_with(ending.as_str()))
    }

    /// Whether a file of this name may be a script, or what an editor has left of one: it holds an extension, in any case.
    pub fn may_be_source(&self, name: &[u8]) -> bool {
        let holds =
            |ending: &String| name.windows(ending.len()).any(|part| part.eq_ignore_ascii_case(ending.as_bytes()));
        self.endings.iter().any(holds)
    }

    /// The indexes that are no scripts.
    pub fn other_indexes(&self) -> impl Iterator<Item = &String> {
        self.index.iter().filter(|name| !self.is_script(name))
    }

    /// Walks along a path below a route, as the client sent it.
    pub fn walk<D: ScriptDirectory>(&self, path: &str, directory: &D) -> Result<ScriptWalk, D::Error> {
        let (mut below, mut rest) = (String::new(), path);
        while let Some(NextSegment { segment, behind }) = NextSegment::of(rest) {
            let Some(name) = script_name(segment) else { return Ok(ScriptWalk::Nothing) };
            if !below.is_empty() {
                below.push('/');
            }
            below.push_str(&name);
            if self.is_script(&name) {
                match directory.kind(&below)? {
                    // What lies below it is not there either.
                    None => return Ok(ScriptWalk::Nothing),
                    Some(PathKind::File) => return Ok(script(below, behind)),
                    Some(PathKind::Directory) => {}
                }
            }
            rest = behind;
        }
        if path.ends_with('/') {
            return self.index_of(&below, directory);
        }
        let is_directory = directory.kind(&below)? == Some(PathKind::Directory);
        Ok(if is_directory { ScriptWalk::Directory } else { ScriptWalk::Nothing })
    }

    /// The first index that is there, if it is a script.
    fn index_of<D: ScriptDirectory>(&self, below: &str, directory: &D) -> Result<ScriptWalk, D::Error> {
        for name in &self.index {
            let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
            if directory.kind(&path)? == Some(PathKind::File) {
                return Ok(if self.is_script(name) { script(path, "") } else { ScriptWalk::Nothing });
            }
        }
        Ok(ScriptWalk::Nothing)
    }
}

fn script(script: String, path_info: &str) -> ScriptWalk {
    ScriptWalk::Script(ScriptPath { script, path_info: path_info.to_owned() })
}

/// The name of a file that a guest can open: guests know only names in UTF-8. What is hidden has none.
fn script_name(segment: &str) -> Option<String> {
    let name = file_name(segment).filter(|name| !is_hidden(name))?;
    String::from_utf8(name.into_owned()).ok()
}

/// The next segment of a path, and what is behind it.
struct NextSegment<'p> {
    segment: &'p str,
    behind: &'p str,
}

impl<'p> NextSegment<'p> {
    fn of(path: &'p str) -> Option<Self> {
        let path = path.trim_start_matches('/');
        let (segment, behind) = path.split_at(path.find('/').unwrap_or(path.len()));
        (!segment.is_empty()).then_some(Self { segment, behind })
    }
}

#[cfg(test)]
#[path = "script_path_tests.rs"]
mod tests;
