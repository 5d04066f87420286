//! Which arguments does a guest (RFC 3875: the script) get?
//!
//! WAGI 0.8 departs from RFC 3875 §4.4: for every method, the raw path is the first argument and the raw query, split at each
//! `&`, the rest; an `argv` template of the operator replaces both. `startup` parses the template once, `gateway` fills it
//! in for each request.

use http::Uri;

use crate::strings::StringBlock;

/// How the arguments of a guest are made from the path and the query of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArgumentTemplate {
    /// The pieces of the `argv` template. Without one: the path, and the query split at each `&`.
    pieces: Option<Vec<Piece>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Path,
    Query,
}

/// The placeholders of a template. SCRIPT_NAME stands for the raw path here, unlike the meta-variable.
const PLACEHOLDERS: [(&str, Piece); 2] = [("${SCRIPT_NAME}", Piece::Path), ("${ARGS}", Piece::Query)];

impl ArgumentTemplate {
    /// The operator's `argv` template. `ArgumentTemplate::default()` stands for an entry without one.
    pub fn from_template(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        // One pass over the template: text from the request is never searched for placeholders.
        while let Some((at, placeholder, piece)) = next_placeholder(rest) {
            pieces.push(Piece::Text(rest.get(..at).unwrap_or_default().to_owned()));
            pieces.push(piece);
            rest = rest.get(at + placeholder.len()..).unwrap_or_default();
        }
        pieces.push(Piece::Text(rest.to_owned()));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Self { pieces: Some(pieces) }
    }

    /// The arguments for a request to `uri`, beginning with the program's name.
    pub fn arguments(&self, uri: &Uri) -> StringBlock {
        match &self.pieces {
            None => split_at_ampersands(uri),
            Some(pieces) => fill_in(pieces, uri),
        }
    }
}

fn next_placeholder(text: &str) -> Option<(usize, &'static str, Piece)> {
    let found = PLACEHOLDERS.into_iter().filter_map(|(name, piece)| Some((text.find(name)?, name, piece)));
    found.min_by_key(|&(at, ..)| at)
}

fn split_at_ampersands(uri: &Uri) -> StringBlock {
    let (path, query) = (uri.path(), uri.query());
    let strings = if query.is_some() { 4 } else { 1 };
    let mut arguments = StringBlock::with_capacity(strings, path.len() + query.map_or(0, str::len) + 2);
    arguments.push(path);
    for argument in query.into_iter().flat_map(|query| query.split('&')) {
        arguments.push(argument);
    }
    arguments
}

fn fill_in(pieces: &[Piece], uri: &Uri) -> StringBlock {
    let mut line = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => line.push_str(text),
            Piece::Path => line.push_str(uri.path()),
            Piece::Query => {
                line.extend(uri.query().unwrap_or_default().chars().map(|c| if c == '&' { ' ' } else { c }))
            }
        }
    }
    let mut arguments = StringBlock::with_capacity(8, line.len() + 1);
    for argument in line.split_whitespace() {
        arguments.push(argument);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use crate::cgi::arguments::*;

    fn arguments(target: &str, template: Option<&str>) -> Vec<String> {
        let template = template.map_or_else(ArgumentTemplate::default, ArgumentTemplate::from_template);
        template.arguments(&target.parse().expect("a request target")).iter().map(str::to_owned).collect()
    }

    /// WAGI 0.8: the raw path, then each piece of the raw query, empty ones too.
    #[test]
    fn path_and_query_pieces_are_the_arguments_by_default() {
        for (target, expected) in [
            ("/x", &["/x"][..]),
            ("/env/foo?greet=matt&foo=bar", &["/env/foo", "greet=matt", "foo=bar"]),
            ("/x?a%20b", &["/x", "a%20b"]),
            ("/x%20y?a+b", &["/x%20y", "a+b"]),
            ("/x?", &["/x", ""]),
            ("/x?a&&b", &["/x", "a", "", "b"]),
            ("/x?&", &["/x", "", ""]),
            ("/assert-args?x=y", &["/assert-args", "x=y"]),
            ("*", &["*"]),
        ] {
            assert_eq!(arguments(target, None), expected, "{target}");
        }
    }

    /// WAGI 0.8: text is replaced first, then the line is split at blanks.
    #[test]
    fn a_template_is_filled_in_and_split_at_blanks() {
        for (target, template, expected) in [
            ("/?p1=v1&p2=v2", "ruby /env.rb ${SCRIPT_NAME} ${ARGS}", &["ruby", "/env.rb", "/", "p1=v1", "p2=v2"][..]),
            ("/x", "python /code/env.py ${ARGS}", &["python", "/code/env.py"]),
            ("/x?", "${SCRIPT_NAME} ${ARGS}", &["/x"]),
            ("/x?a&&b", "${SCRIPT_NAME} ${ARGS}", &["/x", "a", "b"]),
            ("/x?a", "  p \t q\n", &["p", "q"]),
            ("/x?a", "${X} $ARGS ${args} ${ARGS", &["${X}", "$ARGS", "${args}", "${ARGS"]),
            ("/x?a&b", "--url=${SCRIPT_NAME}", &["--url=/x"]),
            ("/x?a&b", "<${ARGS}>", &["<a", "b>"]),
            ("/x", "--q=${ARGS}z", &["--q=z"]),
            ("/p?1&2", "${ARGS}${SCRIPT_NAME}", &["1", "2/p"]),
            ("/x?a", "${ARGS},${ARGS}", &["a,a"]),
            ("/x?a", "${SCRIPT_NAME}${ARGS}", &["/xa"]),
            ("/x", "", &[]),
        ] {
            assert_eq!(arguments(target, Some(template)), expected, "{target} in {template}");
        }
    }

    /// WAGI 0.8: a client cannot smuggle placeholders in.
    #[test]
    fn placeholders_in_path_and_query_are_not_filled_in() {
        let template = ArgumentTemplate::from_template("${SCRIPT_NAME} ${ARGS}");
        let target = Uri::builder().path_and_query("/${ARGS}?${SCRIPT_NAME}&x").build().expect("a request target");
        assert_eq!(template.arguments(&target).iter().collect::<Vec<_>>(), ["/${ARGS}", "${SCRIPT_NAME}", "x"]);
    }
}
