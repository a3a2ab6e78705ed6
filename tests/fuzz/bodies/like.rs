//! LIKE patterns against a matcher that tries everything.

use ocp_rollup::lookups::CategoryPattern;
use ocp_rollup::summary::categories::Categories;

/// The plain matcher takes exponential time.
const LONGEST: usize = 24;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((pattern, namespace)) = text.split_once('\n') else { return };
    let matcher = CategoryPattern { pattern: pattern.to_owned(), cost_category_id: 1 };
    let pattern: Vec<char> = pattern.chars().collect();
    let namespace_chars: Vec<char> = namespace.chars().collect();
    let categories = Categories::new(&[matcher]);
    assert_eq!(categories.is_err(), ends_with_lone_backslash(&pattern), "{text:?}");
    let Ok(categories) = categories else { return };
    assert_eq!(categories.of(None).matches, 0);
    let matches = categories.of(Some(namespace)).matches == 1;
    if pattern.len() + namespace_chars.len() <= LONGEST {
        assert_eq!(matches, is_like(&pattern, &namespace_chars), "{text:?}");
    }
}

fn ends_with_lone_backslash(pattern: &[char]) -> bool {
    pattern.iter().rev().take_while(|&&c| c == '\\').count() % 2 == 1
}

fn is_like(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|skip| is_like(rest, &text[skip..])),
        ['_', rest @ ..] => !text.is_empty() && is_like(rest, &text[1..]),
        ['\\', c, rest @ ..] | [c, rest @ ..] => {
            text.first() == Some(c) && is_like(rest, &text[1..])
        }
    }
}
