//! `${NAME}` and `${NAME:-default}` in texts of the config file.

/// Why a text could not be expanded.
#[derive(Debug, PartialEq, Eq)]
pub enum ExpandError {
    Unset(String),
    Bad(&'static str),
}

/// Expands every placeholder of `text` from `env`. As in a shell, the default of `${NAME:-default}`
/// also stands in for a variable that is set but empty. `$${` is a literal `${`; any other `$` is
/// itself, so that passwords need no care.
pub fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, ExpandError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at - 1]);
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let inner = &rest[at + 2..];
        let end = inner.find('}').ok_or(ExpandError::Bad("a `}` is missing"))?;
        out.push_str(&value(&inner[..end], env)?);
        rest = &inner[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn value(inner: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, ExpandError> {
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if !first || !bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err(ExpandError::Bad("it has no valid variable name"));
    }
    if default.is_some_and(|d| d.contains("${")) {
        return Err(ExpandError::Bad("a default cannot hold another placeholder"));
    }
    match (env(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(ExpandError::Unset(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<String, ExpandError> {
        expand(text, &|name| match name {
            "SET" => Some("v".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn expands_and_keeps_the_rest() {
        assert_eq!(check("a${SET}b${SET:-x}c").unwrap(), "avbvc");
        assert_eq!(check("${NO:-x:-y}").unwrap(), "x:-y");
        assert_eq!(check("${NO:-}").unwrap(), "");
        assert_eq!(check("${EMPTY:-x}|${EMPTY}").unwrap(), "x|");
        assert_eq!(check("p$$w$rd$").unwrap(), "p$$w$rd$");
    }

    #[test]
    fn a_doubled_dollar_is_literal() {
        assert_eq!(check("$${SET}").unwrap(), "${SET}");
        assert_eq!(check("a$${b ${SET}").unwrap(), "a${b v");
    }

    #[test]
    fn faults_are_told_apart() {
        assert_eq!(check("${NO}"), Err(ExpandError::Unset("NO".to_owned())));
        for text in ["${SET", "${}", "${1A}", "${A B}", "${A:-${SET}}"] {
            assert!(matches!(check(text), Err(ExpandError::Bad(_))), "{text}");
        }
    }
}
