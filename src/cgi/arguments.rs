//! Which arguments does a guest (RFC 3875: the script) get?
//!
//! WAGI 0.8 departs from RFC 3875 §4.4: for every method, the raw path is the first argument and the raw query, split at each
//! `&`, the rest. An `argv` of the operator replaces both: a text is filled in and split at blanks; of an array each element is
//! one argument. `gateway` parses it once, and fills it in for each request.

use http::Uri;

use crate::strings::StringBlock;

/// How the arguments of a guest are made from a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArgumentTemplate(Form);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Form {
    /// The path, and the query split at each `&`.
    #[default]
    PathAndQuery,
    /// A line that is split at blanks.
    Line(Vec<Piece>),
    /// The arguments one by one.
    Array(Vec<ArrayElement>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Path,
    Query,
    /// A meta-variable.
    Variable(&'static str),
}

/// An element of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ArrayElement {
    /// One argument.
    Argument(Vec<Piece>),
    /// The query, split at each `&`; nothing without one.
    QueryWords,
}

/// A placeholder, and what it stands for.
type NamedPiece = (&'static str, Piece);

/// The placeholders of a line. SCRIPT_NAME stands for the raw path here, unlike the meta-variable.
const OF_A_LINE: [NamedPiece; 2] = [("${SCRIPT_NAME}", Piece::Path), (ARGS, Piece::Query)];

/// The placeholders of an element of an array: the meta-variables of these names.
const OF_AN_ELEMENT: [NamedPiece; 4] = [
    ("${SCRIPT_NAME}", Piece::Variable("SCRIPT_NAME")),
    ("${SCRIPT_FILENAME}", Piece::Variable("SCRIPT_FILENAME")),
    ("${PATH_INFO}", Piece::Variable("PATH_INFO")),
    ("${QUERY_STRING}", Piece::Variable("QUERY_STRING")),
];

const ARGS: &str = "${ARGS}";

impl ArgumentTemplate {
    /// The operator's `argv` as a text. `ArgumentTemplate::default()` stands for an entry without `argv`.
    pub fn from_line(text: &str) -> Self {
        Self(Form::Line(pieces(text, &OF_A_LINE)))
    }

    /// The operator's `argv` as an array.
    pub fn from_array(elements: &[String]) -> Self {
        let element = |text: &String| match text.as_str() {
            ARGS => ArrayElement::QueryWords,
            text => ArrayElement::Argument(pieces(text, &OF_AN_ELEMENT)),
        };
        Self(Form::Array(elements.iter().map(element).collect()))
    }

    /// The arguments for a request to `uri` with these variables, beginning with the program's name.
    pub fn arguments(&self, uri: &Uri, environment: &StringBlock) -> StringBlock {
        match &self.0 {
            Form::PathAndQuery => split_at_ampersands(uri),
            Form::Line(pieces) => split_at_blanks(&filled_in(pieces, uri, environment)),
            Form::Array(elements) => one_by_one(elements, uri, environment),
        }
    }
}

/// One pass over the template: text from the request is never searched for placeholders.
fn pieces(text: &str, placeholders: &[NamedPiece]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((at, (name, piece))) = next_placeholder(rest, placeholders) {
        pieces.push(Piece::Text(rest.get(..at).unwrap_or_default().to_owned()));
        pieces.push(piece.clone());
        rest = rest.get(at + name.len()..).unwrap_or_default();
    }
    pieces.push(Piece::Text(rest.to_owned()));
    pieces.retain(|piece| *piece != Piece::Text(String::new()));
    pieces
}

fn next_placeholder<'p>(text: &str, placeholders: &'p [NamedPiece]) -> Option<(usize, &'p NamedPiece)> {
    let found = placeholders.iter().filter_map(|placeholder| Some((text.find(placeholder.0)?, placeholder)));
    found.min_by_key(|&(at, _)| at)
}

fn split_at_ampersands(uri: &Uri) -> StringBlock {
    let (path, query) = (uri.path(), uri.query());
    let strings = if query.is_some() { 4 } else { 1 };
    let mut arguments = StringBlock::with_capacity(strings, path.len() + query.map_or(0, str::len) + 2);
    arguments.push(path);
    push_query_words(uri, &mut arguments);
    arguments
}

fn push_query_words(uri: &Uri, arguments: &mut StringBlock) {
    for argument in uri.query().into_iter().flat_map(|query| query.split('&')) {
        arguments.push(argument);
    }
}

fn split_at_blanks(line: &str) -> StringBlock {
    let mut arguments = StringBlock::with_capacity(8, line.len() + 1);
    for argument in line.split_whitespace() {
        arguments.push(argument);
    }
    arguments
}

fn one_by_one(elements: &[ArrayElement], uri: &Uri, environment: &StringBlock) -> StringBlock {
    let mut arguments = StringBlock::default();
    for element in elements {
        match element {
            ArrayElement::Argument(pieces) => arguments.push(&filled_in(pieces, uri, environment)),
            ArrayElement::QueryWords => push_query_words(uri, &mut arguments),
        }
    }
    arguments
}

fn filled_in(pieces: &[Piece], uri: &Uri, environment: &StringBlock) -> String {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(literal) => text.push_str(literal),
            Piece::Path => text.push_str(uri.path()),
            Piece::Query => {
                text.extend(uri.query().unwrap_or_default().chars().map(|c| if c == '&' { ' ' } else { c }))
            }
            Piece::Variable(name) => text.push_str(environment.variable(name).unwrap_or_default()),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::cgi::arguments::*;

    fn arguments(target: &str, template: Option<&str>) -> Vec<String> {
        let template = template.map_or_else(ArgumentTemplate::default, ArgumentTemplate::from_line);
        let arguments = template.arguments(&target.parse().expect("a request target"), &StringBlock::default());
        arguments.iter().map(str::to_owned).collect()
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
        let target = Uri::builder().path_and_query("/${ARGS}?${SCRIPT_NAME}&x").build().expect("a request target");
        let variables =
            StringBlock::from_iter(["PATH_INFO=/${QUERY_STRING}", "QUERY_STRING=${SCRIPT_NAME}&x", "SCRIPT_NAME="]);
        let line = ArgumentTemplate::from_line("${SCRIPT_NAME} ${ARGS}").arguments(&target, &variables);
        assert_eq!(line.iter().collect::<Vec<_>>(), ["/${ARGS}", "${SCRIPT_NAME}", "x"]);
        let array = ArgumentTemplate::from_array(&["${PATH_INFO}".into(), "${QUERY_STRING}".into(), "${ARGS}".into()]);
        let array = array.arguments(&target, &variables);
        assert_eq!(array.iter().collect::<Vec<_>>(), ["/${QUERY_STRING}", "${SCRIPT_NAME}&x", "${SCRIPT_NAME}", "x"]);
    }

    #[test]
    fn each_element_of_an_array_is_one_argument() {
        let variables = StringBlock::from_iter([
            "SCRIPT_NAME=/app",
            "SCRIPT_FILENAME=/www/a b.php",
            "PATH_INFO=/x y",
            "QUERY_STRING=a&b c",
        ]);
        for (target, array, expected) in [
            ("/app/x%20y?a&b", &["php", "-f", "${SCRIPT_FILENAME}"][..], &["php", "-f", "/www/a b.php"][..]),
            ("/app?a&b", &["a b", " ", "", "\t"], &["a b", " ", "", "\t"]),
            ("/app?a&b", &["<${SCRIPT_NAME}${PATH_INFO}?${QUERY_STRING}>"], &["</app/x y?a&b c>"]),
            ("/app?a&b", &["p", "${ARGS}", "z"], &["p", "a", "b", "z"]),
            ("/app?a%20b&&c", &["${ARGS}", "${ARGS}"], &["a%20b", "", "c", "a%20b", "", "c"]),
            ("/app?", &["p", "${ARGS}"], &["p", ""]),
            ("/app", &["p", "${ARGS}"], &["p"]),
            ("/app", &["${ARGS}"], &[]),
            (
                "/app?a",
                &["x${ARGS}", "${ARGS} ", "${X}", "$PATH_INFO", "${path_info}", "${PATH_INFO"],
                &["x${ARGS}", "${ARGS} ", "${X}", "$PATH_INFO", "${path_info}", "${PATH_INFO"],
            ),
            ("/app?a", &["$${SCRIPT_NAME}"], &["$/app"]),
            ("/app", &[], &[]),
        ] {
            let owned: Vec<_> = array.iter().map(|&element| element.to_owned()).collect();
            let target = target.parse().expect("a request target");
            let found = ArgumentTemplate::from_array(&owned).arguments(&target, &variables);
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{target} in {array:?}");
        }
    }

    #[test]
    fn a_variable_that_is_not_there_is_empty() {
        let template = ArgumentTemplate::from_array(&["<${SCRIPT_FILENAME}>".into(), "${PATH_INFO}".into()]);
        let found =
            template.arguments(&Uri::from_static("/"), &StringBlock::from_iter(["SCRIPT_FILENAME_=x", "PATH_INFO="]));
        assert_eq!(found.iter().collect::<Vec<_>>(), ["<>", ""]);
    }
}
