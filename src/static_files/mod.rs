//! Which file answers a request, and with which response?
//!
//! A directory is opened once, when the configuration is loaded. A request opens a file below it, in one step that never leaves
//! the directory, and what was opened is what is looked at and sent: no name is looked up twice. The gateway asks
//! [`StaticFiles`]; what is wrong with a request becomes a status here, and a reason for the log.
//!
//! | file | question |
//! | --- | --- |
//! | `path` | which file does a path name? |
//! | `tree` | what does an entry serve? |
//! | `root` | what is opened? |
//! | `lookup` | which file is it: an index, a compressed one, the fallback? |
//! | `answer` | which status and which fields? |
//! | `conditions`, `range`, `media_type` | what single fields mean |
//! | `body`, `blocking` | how is a file read, and on which threads? |
//! | `scripts` | which script runs, if the directory is one of scripts? |

mod answer;
mod blocking;
mod body;
mod conditions;
mod lookup;
mod media_type;
mod path;
mod range;
mod root;
mod scripts;
mod tree;

use std::io;
use std::sync::Arc;

use http::Method;
use http::request::Parts;

use crate::config::StaticConfig;
use crate::content::coding::AcceptedCodings;

use crate::static_files::answer::FileFields;
pub(crate) use crate::static_files::answer::StaticAnswer;
pub(crate) use crate::static_files::body::FileBody;

use crate::static_files::lookup::{FileLookup, FoundTarget};
use crate::static_files::path::{FilePath, NoFile};
pub(crate) use crate::static_files::scripts::ScriptFiles;
use crate::static_files::tree::{Tree, Trees};

/// The files of one entry.
pub(crate) struct StaticFiles {
    trees: Arc<Trees>,
    fields: FileFields,
}

impl StaticFiles {
    /// Opens the directory of an entry, and checks that the files that it names can be opened.
    pub fn open(config: &StaticConfig) -> io::Result<Self> {
        let fields = FileFields { headers: config.headers.clone(), precompressed: config.precompressed };
        Ok(Self { trees: Arc::new(Tree::open(&config.content)?.into()), fields })
    }

    /// Responds to a request whose path below the route is `path_info`.
    pub async fn respond(&self, request: &Parts, path_info: &str) -> StaticAnswer {
        if request.method != Method::GET && request.method != Method::HEAD {
            return StaticAnswer::method_not_allowed();
        }
        self.look_up(request, path_info).await
    }

    /// The same, whatever the method is.
    async fn look_up(&self, request: &Parts, path_info: &str) -> StaticAnswer {
        let path = match FilePath::parse(path_info) {
            Ok(path) => Some(path),
            Err(NoFile::Impossible) => None,
            Err(NoFile::Hidden) => return StaticAnswer::refused("the path names no file that is served"),
        };
        let codings =
            if self.fields.precompressed { AcceptedCodings::of(&request.headers) } else { AcceptedCodings::default() };
        let lookup = FileLookup { trees: self.trees.clone(), path, codings };
        match lookup.run().await {
            Ok(FoundTarget::File(file)) => answer::with_file(&self.fields, request, file),
            Ok(FoundTarget::Directory) => answer::redirect(request),
            Err(error) => answer::from_error(&error),
        }
    }
}
