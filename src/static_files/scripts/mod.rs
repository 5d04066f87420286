//! Which script runs, if a route leads to a directory of scripts?
//!
//! Each request looks: a script that has changed is what the next request runs. The walk along the path is
//! [`ScriptRules::walk`]; what lies in the directory is told by the same opening as for files, on a thread that may block. The
//! guest opens the script itself, in its read-only volume.

pub(super) mod sources;

use std::io;
use std::path::Path;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Method};

use crate::config::{OtherFiles, ScriptsConfig};
use crate::route::{PathKind, ScriptDirectory, ScriptPath, ScriptRules, ScriptWalk};

use crate::static_files::answer::{self, FileFields, StaticAnswer};
use crate::static_files::root::{FileError, OpenTarget, Root};
use crate::static_files::tree::{Tree, TreeKind};
use crate::static_files::{StaticFiles, blocking};

/// The name that stands for a directory of files.
const FILE_INDEX: &str = "index.html";

/// The scripts of one entry.
pub(crate) struct ScriptFiles {
    rules: Arc<ScriptRules>,
    root: Root,
    /// The other files, if they are sent.
    others: Option<StaticFiles>,
}

impl ScriptFiles {
    /// Opens the directory of an entry.
    pub fn open(config: &ScriptsConfig) -> io::Result<Self> {
        let rules = Arc::new(ScriptRules::new(&config.extensions, &config.index));
        let root = Root::open(&config.directory)?;
        let others = match config.others {
            OtherFiles::NotSent => None,
            OtherFiles::Sent => Some(other_files(&rules, &root)),
        };
        Ok(Self { rules, root, others })
    }

    /// Whether the files beside the scripts are sent.
    pub fn sends_files(&self) -> bool {
        self.others.is_some()
    }

    /// The script for a request whose path below the route is `path`; else the response, with a file, a redirect or nothing.
    pub async fn find(&self, request: &Parts, path: &str) -> Result<ScriptPath, StaticAnswer> {
        let (rules, root, owned) = (self.rules.clone(), self.root.clone(), path.to_owned());
        let walked = blocking::run(move || rules.walk(&owned, &root)).await.unwrap_or(Err(FileError::TooSlow));
        Err(match walked {
            Ok(ScriptWalk::Script(script)) => return Ok(script),
            Ok(ScriptWalk::Directory) => answer::redirect(request),
            Ok(ScriptWalk::Nothing) => match &self.others {
                Some(others) => respond_with_file(others, request, path).await,
                None => StaticAnswer::refused("the path leads to no script"),
            },
            Err(error) => answer::from_error(&error),
        })
    }
}

/// The files beside the scripts.
fn other_files(rules: &Arc<ScriptRules>, root: &Root) -> StaticFiles {
    let mut index: Vec<String> = rules.other_indexes().cloned().collect();
    if !index.iter().any(|name| name == FILE_INDEX) {
        index.push(FILE_INDEX.to_owned());
    }
    let kind = TreeKind::Directory { index, fallback: None };
    let tree = Tree { root: root.clone(), kind, scripts: Some(rules.clone()) };
    StaticFiles { trees: Arc::new(tree.into()), fields: FileFields { headers: HeaderMap::new(), precompressed: true } }
}

/// Scripts have all methods, the files beside them two: a path that leads to nothing is not there in any method.
async fn respond_with_file(files: &StaticFiles, request: &Parts, path: &str) -> StaticAnswer {
    let answer = files.look_up(request, path).await;
    let is_read = request.method == Method::GET || request.method == Method::HEAD;
    if is_read || !answer.is_about_a_file() { answer } else { StaticAnswer::method_not_allowed() }
}

impl ScriptDirectory for Root {
    type Error = FileError;

    fn kind(&self, path: &str) -> Result<Option<PathKind>, FileError> {
        match self.open_below(Path::new(path)) {
            Ok(OpenTarget::File(_)) => Ok(Some(PathKind::File)),
            Ok(OpenTarget::Directory) => Ok(Some(PathKind::Directory)),
            Err(FileError::Missing | FileError::Refused(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
