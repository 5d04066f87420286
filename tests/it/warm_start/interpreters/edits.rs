//! A script, or a file that it imports, is edited after it was read before the checkpoint: the next answer is the new program's.
//!
//! Each edit has a script of its own, in a directory of its own, so that an edit changes nothing that another script has seen.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::admin::Administered;
use crate::support::guest::built_from_source;
use crate::support::site::Site;

use crate::warm_start::{asked, status, warm_requests};

/// An interpreter, with a script that imports a part before its checkpoint. Each says a word, which is in memory at the checkpoint. `NAME`
/// stands for the name of an edit, `WORD` for a word.
struct Interpreter {
    module: &'static str,
    extension: &'static str,
    script: &'static str,
    part: &'static str,
    /// More keys of its entry.
    keys: &'static str,
    /// More volumes. `GUESTS` stands for the directory of compiled guests.
    volumes: &'static str,
    /// More files, below the directory of the site.
    files: &'static [(&'static str, &'static str)],
}

const PYTHON: Interpreter = Interpreter {
    module: "python.wasm",
    extension: "py",
    script: "import os, sys\nsys.path.insert(0, '/lib/NAME')\nimport part\nown = 'WORD'\nos.path.exists('/.wagi/checkpoint')\n\
             print('Content-Type: text/plain\\n')\nprint(own, part.word)\n",
    part: "word = 'WORD'\n",
    keys: "argv = ['python', '${SCRIPT_FILENAME}']\n\
           environment = { PYTHONHOME = '/usr/local', PYTHONDONTWRITEBYTECODE = '1' }",
    volumes: "'/usr' = { path = 'GUESTS/python-usr', read_only = true }",
    files: &[],
};

const RUBY: Interpreter = Interpreter {
    module: "ruby.wasm",
    extension: "rb",
    script: "require '/lib/NAME/part'\nown = 'WORD'\nFile.exist?('/.wagi/checkpoint')\n\
             puts \"Content-Type: text/plain\\n\\n\", \"#{own} #{PART}\"\n",
    part: "PART = 'WORD'\n",
    keys: "argv = ['ruby', '${SCRIPT_FILENAME}']",
    volumes: "",
    files: &[],
};

/// Its checkpoint is in a bootstrap, behind which the script is open.
const PHP: Interpreter = Interpreter {
    module: "php-cgi.wasm",
    extension: "php",
    script: "<?php header('Content-Type: text/plain'); echo 'WORD ', PART, \"\\n\";",
    part: "<?php const PART = 'WORD';",
    keys: "environment = { PHPRC = '/config' }",
    volumes: "'/config' = { path = 'config', read_only = true }",
    files: &[
        (
            "config/php.ini",
            "auto_prepend_file = /config/bootstrap.php\nregister_argc_argv = Off\nrealpath_cache_size = 0\n",
        ),
        (
            "config/bootstrap.php",
            "<?php require '/lib/' . basename(dirname(getenv('SCRIPT_FILENAME'))) . '/part.php';\n\
             file_exists('/.wagi/checkpoint');\n",
        ),
    ],
};

/// A change of one of the two files, as some program makes it.
struct Edit {
    name: &'static str,
    file: EditedFile,
    write: fn(&Path, &str),
    /// The word of the new file.
    word: &'static str,
    /// What both files say then.
    says: &'static str,
}

enum EditedFile {
    Script,
    Part,
}

const EDITS: [Edit; 3] = [
    Edit { name: "renamed", file: EditedFile::Script, write: replace, word: "edited", says: "edited first\n" },
    Edit { name: "written", file: EditedFile::Part, write: overwrite, word: "edited", says: "first edited\n" },
    Edit { name: "alike", file: EditedFile::Part, write: overwrite_alike, word: "other", says: "first other\n" },
];

/// Most editors write a new file and give it the name of the old one.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).expect("writable");
    fs::rename(new, path).expect("it can be renamed");
}

fn overwrite(path: &Path, text: &str) {
    fs::write(path, text).expect("writable");
}

/// The same file with as many bytes, and with the time at which the old text was written.
fn overwrite_alike(path: &Path, text: &str) {
    let before = path.metadata().expect("it is there");
    overwrite(path, text);
    let file = File::options().write(true).open(path).expect("writable");
    file.set_modified(before.modified().expect("a time")).expect("it can be set");
    let after = path.metadata().expect("it is there");
    assert_eq!((after.len(), after.modified().ok()), (before.len(), before.modified().ok()));
}

/// A server with a script for each edit.
struct Scripts {
    interpreter: Interpreter,
    served: Administered,
}

impl Scripts {
    fn serve(interpreter: Interpreter) -> Self {
        let Interpreter { module, extension, script, part, keys, volumes, files } = interpreter;
        let module = built_from_source(module);
        let guests = module.parent().expect("it is in a directory").display().to_string();
        let site = Site::new();
        for Edit { name, .. } in EDITS {
            for (path, text) in [(format!("www/{name}/index"), script), (format!("lib/{name}/part"), part)] {
                site.file(&format!("{path}.{extension}"), with_word(text, name, "first"));
            }
        }
        for (path, text) in files {
            site.file(path, text);
        }
        let keys = format!(
            "warm_start = {{ shared_random = true }}\nscripts = {{ directory = 'www', extensions = ['{extension}'] }}\n{keys}\n\
             [module.volumes]\n'/lib' = {{ path = 'lib', read_only = true }}\n{}",
            volumes.replace("GUESTS", &guests)
        );
        // Code for making snapshots is made with a cache that stays.
        let cache = [("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))];
        let served = Administered::start_with(site.module("/...", &module, &keys), &[], &cache);
        Self { interpreter, served }
    }

    /// What the script of an edit says.
    fn says(&self, edit: &Edit) -> String {
        let path = format!("/{}/index.{}", edit.name, self.interpreter.extension);
        asked(&self.served.wagi, &format!("GET {path} HTTP/1.1"), "").text()
    }

    /// Asks until a request begins warm. All answers say `first`. The compiler needs minutes for an interpreter when it has the cores
    /// not for itself.
    fn is_warm(&self, edit: &Edit) {
        let deadline = Instant::now() + Duration::from_secs(900);
        loop {
            let before = warm_requests(&self.served, "/...");
            assert_eq!(self.says(edit), "first first\n", "{}", edit.name);
            if warm_requests(&self.served, "/...") > before {
                return;
            }
            let log = self.served.wagi.log();
            assert!(!log.contains("warm start: served cold") && Instant::now() < deadline, "{}: {log}", edit.name);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn edit(&self, edit: &Edit) {
        let Interpreter { extension, script, part, .. } = self.interpreter;
        let (path, text) = match edit.file {
            EditedFile::Script => (format!("www/{}/index.{extension}", edit.name), script),
            EditedFile::Part => (format!("lib/{}/part.{extension}", edit.name), part),
        };
        (edit.write)(&self.served.wagi.directory().join(path), &with_word(text, edit.name, edit.word));
    }
}

fn with_word(text: &str, name: &str, word: &str) -> String {
    text.replace("NAME", name).replace("WORD", word)
}

fn the_next_answer_is_the_new_programs(interpreter: Interpreter) {
    let scripts = Scripts::serve(interpreter);
    EDITS.iter().for_each(|edit| scripts.is_warm(edit));
    for edit in &EDITS {
        let cold = || status(&scripts.served, "/...")["requests"]["cold"].as_u64().expect("a number");
        let before = cold();
        scripts.edit(edit);
        assert_eq!(scripts.says(edit), edit.says, "{}", edit.name);
        assert_eq!(cold(), before + 1, "{}", edit.name);
    }
    // That such a route becomes warm again is a test of guests that are compiled sooner.
    EDITS.iter().for_each(|edit| assert_eq!(scripts.says(edit), edit.says, "{}", edit.name));
}

#[test]
#[ignore = "needs WAGI_GUESTS_DIR: interpreters"]
fn an_edited_script_or_module_of_python_is_in_the_next_answer() {
    the_next_answer_is_the_new_programs(PYTHON);
}

#[test]
#[ignore = "needs WAGI_GUESTS_DIR: interpreters"]
fn an_edited_script_or_library_of_ruby_is_in_the_next_answer() {
    the_next_answer_is_the_new_programs(RUBY);
}

#[test]
#[ignore = "needs WAGI_GUESTS_DIR: interpreters"]
fn an_edited_page_or_library_of_php_is_in_the_next_answer() {
    the_next_answer_is_the_new_programs(PHP);
}
