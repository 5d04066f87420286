//! The options of `wagi new`.

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};

use crate::cli::commands::new::{NewCommand, ProjectName, ProjectNameError, TEMPLATES, template};

/// What follows the options in the help.
pub(super) const NEW_EXAMPLES: &str = "Examples:
  wagi new hello --template rust
  wagi new --list
  wagi new                        asks for both on a terminal

Next: cd hello && wagi dev";

/// The options of `wagi new`.
#[derive(Args)]
pub(super) struct NewArguments {
    /// The name of the project, which is also that of its new directory
    #[arg(value_parser = name)]
    name: Option<ProjectName>,

    /// What the project begins with
    #[arg(short, long, value_name = "LANG", value_parser = templates())]
    template: Option<String>,

    /// List the templates, and what each needs
    #[arg(long, conflicts_with_all = ["name", "template"])]
    list: bool,
}

impl NewArguments {
    pub fn command(self) -> NewCommand {
        let template = self.template.and_then(|name| template(&name));
        NewCommand { name: self.name, template, list: self.list }
    }
}

fn name(text: &str) -> Result<ProjectName, ProjectNameError> {
    text.parse()
}

fn templates() -> PossibleValuesParser {
    let values = TEMPLATES.iter().map(|template| PossibleValue::new(template.name).aliases(template.aliases));
    PossibleValuesParser::new(values)
}
