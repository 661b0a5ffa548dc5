//! The pages in `docs/` keep up with the code: every event and every error of a move is explained, every rule that a
//! comment cites stands there, and no link leads nowhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The variants of an enum, by its source: the lines that begin with a capital, one step in.
fn variants(source: &str, name: &str) -> Vec<String> {
    let (_, rest) = source.split_once(&format!("pub enum {name} {{\n")).expect("the enum is there");
    let (body, _) = rest.split_once("\n}").expect("it ends");
    let indented = body.lines().filter_map(|line| line.strip_prefix("    "));
    let named = indented.filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
    named.map(|line| line.chars().take_while(|c| c.is_alphanumeric()).collect()).collect()
}

/// Which of these the page does not name in code quotes.
fn unnamed<'a>(page: &str, names: &'a [String]) -> Vec<&'a String> {
    let quoted: Vec<&str> = page.split('`').skip(1).step_by(2).collect();
    let is_named = |name: &str| {
        quoted.iter().any(|quote| quote.split(|c: char| !c.is_alphanumeric()).any(|word| word == name))
    };
    names.iter().filter(|name| !is_named(name)).collect()
}

/// The sources of a folder, with all below it.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder can be listed");
    let paths = entries.map(|entry| entry.expect("an entry can be read").path());
    paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// The numbers that stand behind "rules, ": `2.7`, or several with "and", "to" or a comma between them.
fn cited(source: &str) -> BTreeSet<String> {
    let mut numbers = BTreeSet::new();
    for list in source.split("rules, ").skip(1) {
        let words = list.split([' ', ',', ')', ';', ']', '\n']).filter(|word| !word.is_empty());
        let list = words.take_while(|word| {
            word.starts_with(|c: char| c.is_ascii_digit()) || ["and", "to"].contains(word)
        });
        numbers
            .extend(list.filter(|word| word.contains('.')).map(|word| word.trim_end_matches('.').to_owned()));
    }
    numbers
}

/// Whether the page has a paragraph of this number.
fn has_rule(page: &str, number: &str) -> bool {
    page.lines().filter_map(|line| line.strip_prefix("**")).any(|line| {
        line.strip_prefix(number)
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
    })
}

#[test]
fn every_event_and_every_error_of_a_move_is_explained() {
    let page = read("docs/migration.md");
    let of = [
        ("src/migration/mod.rs", "MigrationEvent"),
        ("src/migration/relocation.rs", "RelocationEvent"),
        ("src/error.rs", "MigrationError"),
        ("src/error.rs", "RelocationError"),
        ("src/error.rs", "Binding"),
    ];
    for (file, name) in of {
        let variants = variants(&read(file), name);
        assert!(variants.len() >= 2, "{name} has {variants:?}");
        assert_eq!(unnamed(&page, &variants), Vec::<&String>::new(), "{name}");
    }
}

#[test]
fn a_variant_that_no_page_names_is_noticed() {
    let source = "pub enum Bird {\n    /// A Peregrine.\n    Falcon,\n    Owl { asleep: bool },\n}\n";
    let variants = variants(source, "Bird");
    assert_eq!(variants, ["Falcon", "Owl"]);
    assert_eq!(unnamed("a `Falcon` and an Owl", &variants), ["Owl"]);
}

#[test]
fn every_rule_that_a_comment_cites_stands_on_its_page() {
    let page = read("docs/rules.md");
    let mut missing = Vec::new();
    let mut known = BTreeSet::new();
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        for number in cited(&read(&path)) {
            if has_rule(&page, &number) {
                known.insert(number);
            } else {
                missing.push(format!("{}: {number}", path.display()));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
    assert!(known.len() >= 20, "only {known:?}");
}

#[test]
fn citations_are_read_in_all_their_forms() {
    let source = "(rules, 2.7) (migration rules, 3.1, 3.2 and 4) (rules, 2.1 to 2.7).";
    assert_eq!(cited(source).into_iter().collect::<Vec<_>>(), ["2.1", "2.7", "3.1", "3.2"]);
    assert!(has_rule("**2.7 Silence**", "2.7") && !has_rule("**2.71 Silence**", "2.7"));
}

#[test]
fn no_link_of_a_page_leads_nowhere() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let pages = fs::read_dir(&docs).expect("docs can be listed").map(|entry| entry.expect("an entry").path());
    let mut links = 0;
    for page in pages.filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let text = read(&page);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.contains(' ') {
                continue;
            }
            links += 1;
            assert!(docs.join(target).exists(), "{}: {link}", page.display());
        }
    }
    assert!(links > 3);
}
