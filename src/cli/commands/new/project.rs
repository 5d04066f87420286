//! How the files of a template become a directory. Nothing that exists is written to: the directory is new, and so is each file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, bail};

use crate::cli::commands::new::name::ProjectName;
use crate::cli::commands::new::templates::Template;

/// What stands for the name of the project in the files of templates.
const PLACEHOLDER: &str = "{{name}}";

/// The files whose names are others in `templates/`, where git, Cargo and Go would take them for their own.
const RENAMED: [(&str, &str); 4] = [
    ("gitignore", ".gitignore"),
    ("usr/gitkeep", "usr/.gitkeep"),
    ("Cargo.toml.in", "Cargo.toml"),
    ("go.mod.in", "go.mod"),
];

/// Makes the directory of the project below `parent`. Returns the names of its files.
pub(super) fn create(parent: &Path, name: &ProjectName, template: &Template) -> anyhow::Result<Vec<String>> {
    let directory = parent.join(name.as_str());
    match fs::create_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("`{name}` exists, and `wagi new` never overwrites: choose another name, or remove it first")
        }
        made => made.with_context(|| format!("cannot make the directory `{name}`"))?,
    }
    let mut written = Vec::new();
    for file in template.files.iter().chain(template.definitions) {
        let path = RENAMED.iter().find(|(stored, _)| *stored == file.path).map_or(file.path, |(_, path)| path);
        let text = file.text.replace(PLACEHOLDER, name.as_str());
        write(&directory.join(path), &text).with_context(|| {
            format!(
                "cannot write `{name}/{path}`, so the project is not complete: remove `{name}` before you try again"
            )
        })?;
        written.push(path.to_owned());
    }
    written.sort_unstable();
    Ok(written)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(above) = path.parent() {
        fs::create_dir_all(above)?;
    }
    OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::cli::commands::new::TEMPLATES;
    use crate::cli::commands::new::project::create;

    #[test]
    fn a_project_has_all_that_its_template_promises_under_its_own_name() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        for template in &TEMPLATES {
            let name = format!("my-{}", template.name).parse().expect("a name");
            let files = create(parent.path(), &name, template).expect("it can be written");
            for file in ["modules.toml", "README.md", ".gitignore", "test.sh"] {
                assert!(files.iter().any(|name| name == file), "{}: {file}", template.name);
            }
            for file in &files {
                let text = fs::read_to_string(parent.path().join(name.as_str()).join(file)).expect("text");
                assert!(!text.contains("{{"), "{}: {file}", template.name);
            }
            let readme = fs::read_to_string(parent.path().join(name.as_str()).join("README.md")).expect("text");
            assert!(readme.starts_with(&format!("# {name}\n")) && readme.lines().count() <= 14, "{readme}");
        }
    }

    #[test]
    fn what_exists_is_left_as_it_is() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let name = "hello".parse().expect("a name");
        fs::write(parent.path().join("hello"), "mine").expect("writable");
        let error = create(parent.path(), &name, &TEMPLATES[0]).expect_err("it exists").to_string();
        assert!(error.contains("`hello` exists"), "{error}");
        assert_eq!(fs::read_to_string(parent.path().join("hello")).expect("readable"), "mine");
    }
}
