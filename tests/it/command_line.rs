//! Arguments: the default, a text, and an array.

use crate::support::guest::probe;
use crate::support::harness::Test;

/// The probe prints its arguments quoted, one per line, at `/args`; every other path is part of what is asked.
async fn arguments(target: &str, template: Option<&str>) -> Vec<String> {
    let keys = template.map(|template| format!("argv = '{template}'")).unwrap_or_default();
    let answer = Test::new().file_module("/...", &probe(), &keys).get(target).await;
    assert_eq!(answer.status, 200);
    answer.text().lines().map(|line| line.trim_matches('"').to_owned()).collect()
}

#[tokio::test]
async fn by_default_the_path_and_the_pieces_of_the_query() {
    let rows: [(&str, &[&str]); 6] = [
        ("/args", &["/args"]),
        ("/args?greet=matt&foo=bar", &["/args", "greet=matt", "foo=bar"]),
        ("/args?a%20b", &["/args", "a%20b"]),
        ("/args?", &["/args", ""]),
        ("/args?a&&b", &["/args", "a", "", "b"]),
        ("/args?a+b", &["/args", "a+b"]),
    ];
    for (target, expected) in rows {
        assert_eq!(arguments(target, None).await, expected, "{target}");
    }
}

#[tokio::test]
async fn a_template_is_filled_in_once_and_split_at_blanks() {
    let rows: [(&str, &str, &[&str]); 6] = [
        ("/args?p1=v1&p2=v2", "ruby /env.rb ${SCRIPT_NAME} ${ARGS}", &["ruby", "/env.rb", "/args", "p1=v1", "p2=v2"]),
        ("/args", "python /code/env.py ${ARGS}", &["python", "/code/env.py"]),
        ("/args?a&&b", "x  ${ARGS}", &["x", "a", "b"]),
        ("/args?a", "${OTHER} $ARGS", &["${OTHER}", "$ARGS"]),
        ("/args?x", "--path=${SCRIPT_NAME}", &["--path=/args"]),
        ("/args?$%7BARGS%7D", "${ARGS}", &["$%7BARGS%7D"]),
    ];
    for (target, template, expected) in rows {
        assert_eq!(arguments(target, Some(template)).await, expected, "{target} {template}");
    }
}

/// The arguments that an array comes to, of the probe at `/app/...`.
async fn of_array(target: &str, keys: &str) -> Vec<String> {
    let answer = Test::new().file_module("/app/...", &probe(), keys).get(target).await;
    assert_eq!(answer.status, 200, "{target} {keys}");
    answer.text().lines().map(|line| line.trim_matches('"').to_owned()).collect()
}

#[tokio::test]
async fn each_element_of_an_array_is_one_argument_with_variables_filled_in() {
    let rows: [(&str, &str, &[&str]); 7] = [
        (
            "/app/args?a%20b&c",
            "argv = ['tool', 'two words', '', '${ARGS}', 'end']",
            &["tool", "two words", "", "a%20b", "c", "end"],
        ),
        ("/app/args", "argv = ['tool', '${ARGS}']", &["tool"]),
        ("/app/args?", "argv = ['tool', '${ARGS}']", &["tool", ""]),
        ("/app/%61rgs?x=1", "argv = ['<${SCRIPT_NAME}|${PATH_INFO}|${QUERY_STRING}>']", &["</app|/args|x=1>"]),
        ("/app/args?x", "argv = ['x${ARGS}', '${OTHER}', '[${SCRIPT_FILENAME}]']", &["x${ARGS}", "${OTHER}", "[]"]),
        (
            "/app/args?$%7BPATH_INFO%7D",
            "argv = ['${SCRIPT_FILENAME}', '${QUERY_STRING}']\nenvironment = { SCRIPT_FILENAME = '/www/a b' }",
            &["/www/a b", "$%7BPATH_INFO%7D"],
        ),
        ("/app/args?x", "argv = []", &[]),
    ];
    for (target, keys, expected) in rows {
        assert_eq!(of_array(target, keys).await, expected, "{target} {keys}");
    }
}
