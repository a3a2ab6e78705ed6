//! Cost categories: SQL LIKE patterns over namespaces.

use crate::lookups::CategoryPattern;

/// A tenant's patterns, ready to match.
#[derive(Debug, Clone, Default)]
pub struct Categories {
    patterns: Vec<(Vec<Token>, i32)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `_`: any one character.
    One,
    /// `%`: any run of characters.
    Run,
}

/// A pattern that SQL refuses too.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cost category pattern {pattern:?} ends with a lone backslash; write \\\\ for a backslash")]
pub struct PatternError {
    pub pattern: String,
}

/// What the patterns say of one namespace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Category {
    /// The greatest category of a matching pattern.
    pub id: Option<i32>,
    /// How many patterns match.
    pub matches: u32,
}

impl Categories {
    pub fn new(patterns: &[CategoryPattern]) -> Result<Self, PatternError> {
        let patterns = patterns
            .iter()
            .map(|p| Ok((tokens(&p.pattern)?, p.cost_category_id)))
            .collect::<Result<_, PatternError>>()?;
        Ok(Categories { patterns })
    }

    /// The category ids of all patterns that match; none match a null namespace.
    pub fn matching<'a>(&'a self, namespace: Option<&str>) -> impl Iterator<Item = i32> + 'a {
        let text: Option<Vec<char>> = namespace.map(|n| n.chars().collect());
        self.patterns.iter().filter_map(move |(pattern, id)| {
            text.as_deref().is_some_and(|t| is_like(pattern, t)).then_some(*id)
        })
    }

    pub fn of(&self, namespace: Option<&str>) -> Category {
        self.matching(namespace).fold(Category::default(), |found, id| Category {
            id: found.id.max(Some(id)),
            matches: found.matches + 1,
        })
    }
}

fn tokens(pattern: &str) -> Result<Vec<Token>, PatternError> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '%' => Token::Run,
            '_' => Token::One,
            '\\' => match chars.next() {
                Some(escaped) => Token::Char(escaped),
                None => return Err(PatternError { pattern: pattern.to_owned() }),
            },
            other => Token::Char(other),
        });
    }
    Ok(tokens)
}

/// Greedy with one point to go back to: linear in text times runs, never exponential.
fn is_like(pattern: &[Token], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(Token::Run) => {
                retry = Some((p, t));
                p += 1;
            }
            Some(Token::One) => {
                p += 1;
                t += 1;
            }
            Some(&Token::Char(c)) if c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((run, from)) => {
                    retry = Some((run, from + 1));
                    p = run + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&token| token == Token::Run)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(pattern: &str, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        is_like(&tokens(pattern).unwrap(), &text)
    }

    #[test]
    fn as_sql_does() {
        assert!(like("openshift-%", "openshift-"));
        assert!(!like("openshift-%", "openshift"));
        assert!(!like("openshift", "openshift-x"));
        assert!(!like("Kube%", "kube-system"));
        assert!(like("%a%b", "xaabab"));
        assert!(!like("%a%b", "xaaba"));
        assert!(like("a_c", "aéc") && !like("a_c", "ac"));
        assert!(like(r"a\%c", "a%c") && !like(r"a\%c", "abc"));
        assert!(like(r"a\\c", r"a\c") && like(r"\a", "a"));
        assert!(like("%", "") && like("", "") && !like("", "x") && !like("_", ""));
        let long = "a".repeat(5000);
        assert!(!like("%a%a%a%a%a%a%a%b", &long));
    }

    #[test]
    fn a_lone_backslash_is_refused() {
        assert!(tokens("x\\").is_err());
    }

    #[test]
    fn the_greatest_wins_and_all_count() {
        let pattern = |p: &str, id| CategoryPattern { pattern: p.into(), cost_category_id: id };
        let categories =
            Categories::new(&[pattern("a%", 7), pattern("%b", 3), pattern("c", 9)]).unwrap();
        assert_eq!(categories.of(Some("ab")), Category { id: Some(7), matches: 2 });
        assert_eq!(categories.of(Some("x")), Category::default());
        assert_eq!(categories.of(None), Category::default());
    }
}
