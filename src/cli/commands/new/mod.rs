//! `wagi new`: a project that begins as a copy of a template.
//!
//! | file | contents |
//! | --- | --- |
//! | `templates` | which templates there are |
//! | `name` | which names a project may have |
//! | `project` | how the files of a template become a directory |

mod name;
mod project;
mod templates;

use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;

pub use crate::cli::commands::new::name::{ProjectName, ProjectNameError};
pub use crate::cli::commands::new::templates::{TEMPLATES, Template, template};

use crate::cli::terminal::{Echo, INTERRUPTED, is_interactive, print_message, print_result, prompt};

/// How often a name or template is asked for that does not exist.
const TRIES: usize = 5;

/// The exit code of a command line that is not valid.
const USAGE: u8 = 2;

/// The options of `wagi new`.
pub struct NewCommand {
    pub name: Option<ProjectName>,
    pub template: Option<&'static Template>,
    /// Whether the templates are listed, and nothing else.
    pub list: bool,
}

impl NewCommand {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        if self.list {
            return print_result(&list()).map(|()| ExitCode::SUCCESS);
        }
        let (name, template) = match (self.name, self.template) {
            (Some(name), Some(template)) => (name, template),
            _ if !is_interactive() => {
                print_message(format_args!(
                    "error: there is no terminal to ask on: give a name and a template, such as `wagi new hello --template rust`; \
                     `wagi new --list` shows the templates"
                ));
                return Ok(ExitCode::from(USAGE));
            }
            (name, template) => match asked(name, template).await? {
                Some(answers) => answers,
                None => return Ok(ExitCode::from(INTERRUPTED)),
            },
        };
        let files = project::create(Path::new("."), &name, template)?;
        print_result(&created(&name, template, &files)).map(|()| ExitCode::SUCCESS)
    }
}

/// The templates, one a line: its name, what it is, what it needs.
fn list() -> String {
    let lines = TEMPLATES.iter().map(|template| {
        let Template { name, title, needs, .. } = template;
        format!("{name:<22}{title:<38}{needs}\n")
    });
    lines.collect()
}

/// What was made, and what to type next.
fn created(name: &ProjectName, template: &Template, files: &[String]) -> String {
    let files: String = files.iter().map(|file| format!("  {name}/{file}\n")).collect();
    let needs = match template.needs {
        "" => String::new(),
        needs => format!("To build it you need {needs}.\n"),
    };
    format!("Created `{name}`, {}:\n{files}{needs}\nNext:\n  cd {name} && wagi dev\n", template.title)
}

/// Asks for what is missing. Returns `None` after Ctrl-C.
async fn asked(
    name: Option<ProjectName>,
    template: Option<&'static Template>,
) -> anyhow::Result<Option<(ProjectName, &'static Template)>> {
    let name = match name {
        Some(name) => name,
        None => match answer("Name of the project: ", |text| text.parse().map_err(|error| format!("{error}"))).await? {
            Some(name) => name,
            None => return Ok(None),
        },
    };
    if let Some(template) = template {
        return Ok(Some((name, template)));
    }
    for (number, Template { name, title, .. }) in TEMPLATES.iter().enumerate() {
        print_message(format_args!("{:>4}  {name:<22}{title}", number + 1));
    }
    let chosen = answer("Template, its name or number: ", |text| chosen(text).ok_or_else(|| no_template(text))).await?;
    Ok(chosen.map(|template| (name, template)))
}

/// The template of that number or name.
fn chosen(text: &str) -> Option<&'static Template> {
    let numbered = text.parse::<usize>().ok().and_then(|number| TEMPLATES.get(number.checked_sub(1)?));
    numbered.or_else(|| template(text))
}

fn no_template(text: &str) -> String {
    format!("there is no template `{text}`")
}

/// Asks until the input means something. Returns `None` after Ctrl-C.
async fn answer<T>(question: &str, parse: impl Fn(&str) -> Result<T, String>) -> anyhow::Result<Option<T>> {
    for _ in 0..TRIES {
        let Some(text) = prompt(question, Echo::On).await? else { return Ok(None) };
        match parse(text.trim()) {
            Ok(value) => return Ok(Some(value)),
            Err(problem) => print_message(format_args!("{problem}")),
        }
    }
    bail!("no answer made sense; give a name and a template, such as `wagi new hello --template rust`")
}

#[cfg(test)]
mod tests {
    use crate::cli::commands::new::{TEMPLATES, chosen, list};

    #[test]
    fn a_template_is_chosen_by_its_number_or_one_of_its_names() {
        for (text, name) in [("1", "rust"), ("wat", "wat"), ("c++", "cpp"), ("js-component", "javascript-component")] {
            assert_eq!(chosen(text).map(|template| template.name), Some(name), "{text}");
        }
        for text in ["", "0", "99", "cobol", "-1", "RUST"] {
            assert!(chosen(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_list_has_a_line_for_each_template_that_fits_on_a_terminal() {
        let list = list();
        assert_eq!(list.lines().count(), TEMPLATES.len());
        assert!(list.lines().all(|line| line.chars().count() <= 120), "{list}");
    }
}
