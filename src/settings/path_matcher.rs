//! Which objects of a tree belong to one template, one source and some months. Pure.

use uuid::Uuid;

use super::dates::Month;

/// A path template with its values filled in: what to list, and what to keep of it.
///
/// Paths are relative to the source (the folder that holds `data/`) and separated by `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathMatcher {
    patterns: Vec<Pattern>,
    prefixes: Vec<String>,
    /// The template itself asks for daily files of the proof of concept.
    names_daily: bool,
}

/// The folder of the proof of concept's daily files begins like that of the hourly ones, so that
/// `…_line_items*` would count both.
const DAILY_FOLDER: &str = "line_items_daily";

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    folders: Vec<Vec<Token>>,
    /// `None`: any Parquet file at any depth below the folders.
    file: Option<Vec<Token>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Literal(String),
    Any,
    /// One or two digits.
    Day,
    /// With or without a leading zero.
    Month(u32),
}

impl PathMatcher {
    /// Fills in `template`, one that [`super::layout`] accepted. `org_id` stands for `{org}`, and
    /// without a leading `acct` for `{account}`. Without months nothing matches.
    pub fn new(template: &str, org_id: &str, source: Uuid, months: &[Month]) -> Self {
        let mut patterns: Vec<Pattern> = Vec::new();
        let mut prefixes: Vec<String> = Vec::new();
        for month in months {
            let pattern = Pattern::new(template, org_id, source, *month);
            // A template without `{year}` and `{month}` is the same for every month.
            if patterns.contains(&pattern) {
                continue;
            }
            for prefix in pattern.prefixes() {
                if !prefixes.contains(&prefix) {
                    prefixes.push(prefix);
                }
            }
            patterns.push(pattern);
        }
        PathMatcher { patterns, prefixes, names_daily: template.contains(DAILY_FOLDER) }
    }

    /// The folders to list, recursively, each ending in `/` (or empty: everything); every path
    /// that matches is below exactly one of them. A folder may well not exist.
    pub fn prefixes(&self) -> &[String] {
        &self.prefixes
    }

    /// Whether the object at `path` is one of the template's Parquet files.
    pub fn matches(&self, path: &str) -> bool {
        if !self.names_daily && path.contains(DAILY_FOLDER) {
            return false;
        }
        self.patterns.iter().any(|pattern| pattern.matches(path))
    }
}

impl Pattern {
    fn new(template: &str, org_id: &str, source: Uuid, month: Month) -> Self {
        let fill = |segment: &str| tokens(segment, org_id, source, month);
        let (folders, file) = template.rsplit_once('/').unwrap_or(("", template));
        Pattern {
            folders: folders.split('/').filter(|s| !s.is_empty()).map(fill).collect(),
            file: (!file.is_empty()).then(|| fill(file)),
        }
    }

    fn prefixes(&self) -> Vec<String> {
        let mut prefixes = vec![String::new()];
        for folder in &self.folders {
            let Some(names) = constants(folder) else { break };
            prefixes = prefixes
                .iter()
                .flat_map(|prefix| names.iter().map(move |name| format!("{prefix}{name}/")))
                .collect();
        }
        prefixes
    }

    fn matches(&self, path: &str) -> bool {
        let mut segments = path.split('/');
        let Some(name) = segments.next_back() else { return false };
        if !name.ends_with(".parquet") || is_hidden(name) {
            return false;
        }
        for folder in &self.folders {
            if !segments.next().is_some_and(|segment| matches_segment(folder, segment)) {
                return false;
            }
        }
        match &self.file {
            Some(file) => segments.next().is_none() && matches_segment(file, name),
            None => segments.all(|segment| !segment.is_empty() && !is_hidden(segment)),
        }
    }
}

/// Markers, checksums and files in the making, by the convention of Hadoop and Spark.
fn is_hidden(name: &str) -> bool {
    name.starts_with(['.', '_'])
}

fn tokens(segment: &str, org_id: &str, source: Uuid, month: Month) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut rest = segment;
    while let Some(first) = rest.chars().next() {
        let placeholder = rest.strip_prefix('{').and_then(|r| r.split_once('}'));
        let (token, after) = match placeholder {
            Some(("org", after)) => (Token::Literal(org_id.to_owned()), after),
            Some(("account", after)) => (Token::Literal(account(org_id).to_owned()), after),
            Some(("uuid", after)) => (Token::Literal(source.to_string()), after),
            Some(("year", after)) => (Token::Literal(month.year().to_string()), after),
            Some(("month", after)) => (Token::Month(month.month()), after),
            Some(("day", after)) => (Token::Day, after),
            _ if first == '*' => (Token::Any, &rest[1..]),
            _ => (Token::Literal(first.to_string()), &rest[first.len_utf8()..]),
        };
        rest = after;
        match (tokens.last_mut(), token) {
            (Some(Token::Literal(before)), Token::Literal(more)) => before.push_str(&more),
            (Some(Token::Any), Token::Any) => {}
            (_, token) => tokens.push(token),
        }
    }
    tokens
}

/// Koku's account of a schema name.
pub(crate) fn account(org_id: &str) -> &str {
    org_id.strip_prefix("acct").unwrap_or(org_id)
}

/// The names a segment can have, if there are but a few.
fn constants(tokens: &[Token]) -> Option<Vec<String>> {
    let mut names = vec![String::new()];
    for token in tokens {
        let variants = match token {
            Token::Any | Token::Day => return None,
            Token::Literal(text) => vec![text.clone()],
            Token::Month(month) => spellings(*month),
        };
        names = names
            .iter()
            .flat_map(|name| variants.iter().map(move |variant| format!("{name}{variant}")))
            .collect();
    }
    Some(names)
}

fn spellings(month: u32) -> Vec<String> {
    let (short, long) = (month.to_string(), format!("{month:02}"));
    if short == long { vec![short] } else { vec![short, long] }
}

fn matches_segment(tokens: &[Token], text: &str) -> bool {
    if text.is_empty() {
        return false;
    }
    // A name that begins with the template's own text is not hidden by chance.
    if !matches!(tokens.first(), Some(Token::Literal(_))) && is_hidden(text) {
        return false;
    }
    matches_tokens(tokens, text)
}

fn matches_tokens(tokens: &[Token], text: &str) -> bool {
    let Some((token, rest)) = tokens.split_first() else { return text.is_empty() };
    // A number is read to its end: month 1 followed by `*` is not month 10.
    let number = |after: &str| {
        let goes_on = after.starts_with(|c: char| c.is_ascii_digit());
        !(goes_on && matches!(rest.first(), Some(Token::Any))) && matches_tokens(rest, after)
    };
    match token {
        Token::Literal(literal) => {
            text.strip_prefix(literal.as_str()).is_some_and(|after| matches_tokens(rest, after))
        }
        Token::Any => {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.into_iter().any(|at| matches_tokens(rest, &text[at..]))
        }
        Token::Day => (1..=2).any(|digits| {
            text.get(..digits).is_some_and(|d| d.bytes().all(|b| b.is_ascii_digit()))
                && number(&text[digits..])
        }),
        Token::Month(month) => {
            spellings(*month).iter().any(|s| text.strip_prefix(s.as_str()).is_some_and(number))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::settings::layout;

    const SOURCE: &str = "6ee3c302-8689-5608-91c9-dbd77e9736dd";

    fn months(of: &[(i32, u32)]) -> Vec<Month> {
        of.iter().map(|(y, m)| Month::new(*y, *m).unwrap()).collect()
    }

    fn matcher(template: &str, of: &[(i32, u32)]) -> PathMatcher {
        PathMatcher::new(template, "acct10001", SOURCE.parse().unwrap(), &months(of))
    }

    #[track_caller]
    fn check(matcher: &PathMatcher, path: &str, expected: bool) {
        let path = path.replace("UUID", SOURCE);
        assert_eq!(matcher.matches(&path), expected, "{path}");
        if expected {
            let below = matcher.prefixes().iter().filter(|p| path.starts_with(p.as_str())).count();
            assert_eq!(below, 1, "{path} must be listed exactly once");
        }
    }

    #[test]
    fn koku_files() {
        let m = matcher(&layout::koku().hourly.pod_usage, &[(2025, 8), (2025, 10)]);
        let at = "data/parquet/10001/OCP/pod_usage/source=UUID/year=2025";
        assert_eq!(
            m.prefixes().join("\n").replace(SOURCE, "UUID"),
            format!("{at}/month=8/\n{at}/month=08/\n{at}/month=10/")
        );
        for month in ["8", "08", "10"] {
            check(&m, &format!("{at}/month={month}/pod_usage.2025-08-01.1.0_0.parquet"), true);
        }
        for path in [
            // Other months and years.
            "data/parquet/10001/OCP/pod_usage/source=UUID/year=2025/month=1/a.parquet",
            "data/parquet/10001/OCP/pod_usage/source=UUID/year=2025/month=80/a.parquet",
            "data/parquet/10001/OCP/pod_usage/source=UUID/year=2025/month=008/a.parquet",
            "data/parquet/10001/OCP/pod_usage/source=UUID/year=2024/month=8/a.parquet",
            // Other sources, accounts and types, and the daily tree.
            "data/parquet/10001/OCP/pod_usage/source=UUIDd/year=2025/month=8/a.parquet",
            "data/parquet/10001/OCP/pod_usage/source=/year=2025/month=8/a.parquet",
            "data/parquet/100011/OCP/pod_usage/source=UUID/year=2025/month=8/a.parquet",
            "data/parquet/acct10001/OCP/pod_usage/source=UUID/year=2025/month=8/a.parquet",
            "data/parquet/10001/OCP/pod_usage2/source=UUID/year=2025/month=8/a.parquet",
            "data/parquet/daily/10001/OCP/pod_usage/source=UUID/year=2025/month=8/a.parquet",
            // Deeper, shallower, elsewhere.
            "data/parquet/10001/OCP/pod_usage/source=UUID/year=2025/month=8/x/a.parquet",
            "data/parquet/10001/OCP/pod_usage/source=UUID/year=2025/a.parquet",
            "/data/parquet/10001/OCP/pod_usage/source=UUID/year=2025/month=8/a.parquet",
            // No Parquet, or none yet.
            "data/parquet/10001/OCP/pod_usage/source=UUID/year=2025/month=8/_SUCCESS",
            "data/parquet/10001/OCP/pod_usage/source=UUID/year=2025/month=8/.a.parquet.crc",
            "data/parquet/10001/OCP/pod_usage/source=UUID/year=2025/month=8/.a.parquet",
            "data/parquet/10001/OCP/pod_usage/source=UUID/year=2025/month=8/_a.parquet",
            "data/parquet/10001/OCP/pod_usage/source=UUID/year=2025/month=8/a.parquet.metadata.json",
            "data/parquet/10001/OCP/pod_usage/source=UUID/year=2025/month=8/a.csv",
            "",
        ] {
            check(&m, path, false);
        }
    }

    #[test]
    fn files_of_the_proof_of_concept() {
        let m = matcher(&layout::poc().hourly.pod_usage, &[(2025, 1)]);
        let at = "data/acct10001/OCP/source=UUID/year=2025/month=01";
        assert_eq!(m.prefixes().len(), 2);
        for day in ["1", "01", "31"] {
            let folder = format!("{at}/day={day}/openshift_pod_usage_line_items");
            check(&m, &format!("{folder}/a.parquet"), true);
            check(&m, &format!("{folder}.202501/a.parquet"), true);
            check(&m, &format!("{folder}_daily/a.parquet"), false);
            check(&m, &format!("{folder}/_temporary/a.parquet"), false);
        }
        for day in ["", "*", "001", "1x", "x"] {
            check(&m, &format!("{at}/day={day}/openshift_pod_usage_line_items/a.parquet"), false);
        }
        check(&m, &format!("{at}/day=1/openshift_storage_usage_line_items/a.parquet"), false);

        let daily = matcher(&layout::poc().daily.unwrap().pod_usage, &[(2025, 1)]);
        check(&daily, &format!("{at}/day=1/openshift_pod_usage_line_items_daily/a.parquet"), true);
        check(&daily, &format!("{at}/day=1/openshift_pod_usage_line_items/a.parquet"), false);
    }

    #[test]
    fn a_folder_holds_files_at_any_depth() {
        let m = matcher("x/{uuid}/*/pods/", &[(2025, 10)]);
        assert_eq!(m.prefixes(), [format!("x/{SOURCE}/")]);
        check(&m, "x/UUID/d/pods/a.parquet", true);
        check(&m, "x/UUID/d/pods/b/c/a.parquet", true);
        check(&m, "x/UUID/d/pods/_b/a.parquet", false);
        check(&m, "x/UUID/d/pods/.b/c/a.parquet", false);
        check(&m, "x/UUID/_d/pods/a.parquet", false);
        check(&m, "x/UUID/d/e/pods/a.parquet", false);
        check(&m, "x/UUID/d/a.parquet", false);
        check(&m, "x/UUID/pods/a.parquet", false);
    }

    #[test]
    fn a_number_before_a_star_is_read_to_its_end() {
        let m = matcher("{uuid}/{year}-{month}*.parquet", &[(2025, 1)]);
        check(&m, "UUID/2025-1-x.parquet", true);
        check(&m, "UUID/2025-01.parquet", true);
        check(&m, "UUID/2025-10-x.parquet", false);
        check(&m, "UUID/2025-012.parquet", false);
    }

    #[test]
    fn a_template_without_months_is_listed_once() {
        let m = matcher("{uuid}/*.parquet", &[(2025, 1), (2025, 2)]);
        assert_eq!(m.prefixes(), [format!("{SOURCE}/")]);
        assert!(matcher("{uuid}/*.parquet", &[]).prefixes().is_empty());
        assert!(!matcher("{uuid}/*.parquet", &[]).matches(&format!("{SOURCE}/a.parquet")));
    }

    proptest! {
        /// Of all files of a tree of sources, types and months, exactly one's own match.
        #[test]
        fn only_its_own_files_match(
            own in any::<u128>(), other in any::<u128>(),
            year in 2020..2030, month in 1u32..=12, other_year in 2020..2030,
            other_month in 1u32..=12, long in any::<bool>(), name in "[a-z0-9._]{0,12}",
            poc in any::<bool>(),
        ) {
            let layout = if poc { layout::poc() } else { layout::koku() };
            let daily = layout.daily.clone().unwrap();
            let (own, other) = (Uuid::from_u128(own), Uuid::from_u128(other));
            let m = PathMatcher::new(
                &layout.hourly.pod_usage, "org1", own, &months(&[(year, month)]));
            let fill = |template: &str, source: Uuid, year: i32, month: u32| {
                let month = if long { format!("{month:02}") } else { month.to_string() };
                template.replace("{account}", "org1").replace("{org}", "org1")
                    .replace("{uuid}", &source.to_string()).replace("{year}", &year.to_string())
                    .replace("{month}", &month).replace("{day}", "7")
                    .replace("*.parquet", &format!("f{name}.parquet")).replace('*', "")
            };
            let t = &layout.hourly;
            prop_assert!(m.matches(&fill(&t.pod_usage, own, year, month)));
            let same = (other_year, other_month) == (year, month);
            prop_assert_eq!(m.matches(&fill(&t.pod_usage, own, other_year, other_month)), same);
            if other != own {
                prop_assert!(!m.matches(&fill(&t.pod_usage, other, year, month)));
            }
            for path in [&t.storage_usage, &t.node_labels, &t.namespace_labels, &daily.pod_usage] {
                prop_assert!(!m.matches(&fill(path, own, year, month)));
            }
        }
    }
}
