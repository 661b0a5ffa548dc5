//! The two lists are complete: every behaviour of the reference's tests (its section 9), and every weakness of it with a
//! remedy (its section 10), has a row, and every test that a row names exists and runs.

use std::collections::BTreeMap;

use stage::sources;

/// A list: a table row for each ID, which is a letter and a number, with a short text and what shows it.
struct List {
    file: &'static str,
    /// How many there are of each letter.
    groups: &'static [(char, usize)],
    /// Whether a row may say why there can be no test.
    permits_reasons: bool,
}

const BEHAVIOURS: List = List {
    file: "tests/migration/catalogue.md",
    groups: &[
        ('A', 13),
        ('B', 7),
        ('C', 3),
        ('D', 9),
        ('E', 9),
        ('F', 3),
        ('G', 3),
        ('H', 10),
        ('I', 48),
        ('J', 4),
        ('K', 2),
        ('L', 21),
        ('M', 100),
        ('X', 22),
    ],
    permits_reasons: false,
};

const REMEDIES: List =
    List { file: "tests/migration/remedies.md", groups: &[('W', 10), ('R', 30)], permits_reasons: true };

/// How a row begins to say why there can be no test.
const REASON: &str = "cannot be here: ";

impl List {
    /// What is wrong with this text of the list, where `has_test` knows a file's tests.
    fn faults(&self, text: &str, has_test: &dyn Fn(&str, &str) -> bool) -> Vec<String> {
        let mut rows: BTreeMap<String, usize> = BTreeMap::new();
        let mut faults = Vec::new();
        for (id, cells) in text.lines().filter_map(row) {
            *rows.entry(id.to_owned()).or_default() += 1;
            match cells[..] {
                [what, shown] => {
                    faults.extend(what.is_empty().then(|| format!("{id}: it says nothing")));
                    faults.extend(self.faults_of(shown, has_test).map(|fault| format!("{id}: {fault}")));
                }
                _ => faults.push(format!("{id}: {} cells", cells.len())),
            }
        }
        for id in self.ids() {
            match rows.remove(&id) {
                Some(1) => {}
                Some(times) => faults.push(format!("{id}: {times} rows")),
                None => faults.push(format!("{id}: no row")),
            }
        }
        faults.extend(rows.into_keys().map(|id| format!("{id}: there is no such ID")));
        faults
    }

    fn faults_of<'a>(
        &self,
        shown: &'a str,
        has_test: &'a dyn Fn(&str, &str) -> bool,
    ) -> impl Iterator<Item = String> + 'a {
        let tests: Vec<_> = named_tests(shown).collect();
        let reason = shown.strip_prefix(REASON).is_some_and(|why| why.len() > 20);
        let nothing = tests.is_empty() && !(self.permits_reasons && reason);
        let unknown = tests.into_iter().filter(|(file, name)| !has_test(file, name));
        let unknown = unknown.map(|(file, name)| format!("no test {file}::{name}"));
        nothing.then(|| "shown by nothing".to_owned()).into_iter().chain(unknown)
    }

    fn ids(&self) -> impl Iterator<Item = String> {
        self.groups.iter().flat_map(|(letter, count)| (1..=*count).map(move |n| format!("{letter}{n}")))
    }
}

/// The ID of a row and its other cells.
fn row(line: &str) -> Option<(&str, Vec<&str>)> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let mut cells = inner.split('|').map(str::trim);
    let id = cells.next()?;
    let number = id.strip_prefix(|c: char| c.is_ascii_uppercase())?;
    let is_id = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_id.then(|| (id, cells.collect()))
}

/// The tests in a cell: `file.rs::name`, each between backticks.
fn named_tests(cell: &str) -> impl Iterator<Item = (&str, &str)> {
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted.filter_map(|text| text.split_once("::")).filter(|(file, _)| file.ends_with(".rs"))
}

#[test]
fn every_behaviour_of_the_reference_has_a_test() {
    let faults = BEHAVIOURS.faults(&sources::read(BEHAVIOURS.file), &sources::has_test);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(BEHAVIOURS.ids().count(), 254);
}

#[test]
fn every_remedy_has_a_test_or_a_reason() {
    let faults = REMEDIES.faults(&sources::read(REMEDIES.file), &sources::has_test);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(REMEDIES.ids().count(), 40);
}

// ---- the lists' reader can find a fault ---------------------------------------------------------------------

/// The faults in rows of a list that has two behaviours and one remedy, where only `src/a.rs::it_moves` is a test.
fn found(rows: &str) -> Vec<String> {
    let list = List { file: "none", groups: &[('A', 2), ('W', 1)], permits_reasons: true };
    list.faults(rows, &|file, name| (file, name) == ("src/a.rs", "it_moves"))
}

const SOUND: &str = "| id | behaviour | shown |\n|---|---|---|\n\
    | A1 | moves | `src/a.rs::it_moves`, or stays |\n\
    | A2 | never | cannot be here: there are no pointers that could be null |\n\
    | W1 | protects | cannot be here: nothing is ever called back |\n";

#[test]
fn a_sound_list_has_no_faults() {
    assert_eq!(found(SOUND), [""; 0]);
}

#[test]
fn a_missing_id_is_found() {
    assert_eq!(found(&SOUND.replace("| A1 |", "| A 1 |")), ["A1: no row"]);
}

#[test]
fn an_id_of_two_rows_or_too_many_is_found() {
    assert_eq!(found(&SOUND.replace("| A2 |", "| A1 |")), ["A1: 2 rows", "A2: no row"]);
    assert_eq!(found(&SOUND.replace("| A2 |", "| A3 |")), ["A2: no row", "A3: there is no such ID"]);
}

#[test]
fn a_test_that_does_not_exist_is_found() {
    let rows = SOUND.replace("it_moves", "it_flies");
    assert_eq!(found(&rows), ["A1: no test src/a.rs::it_flies"]);
    let rows = SOUND.replace("`, or", "`, `src/b.rs::it_moves`, or");
    assert_eq!(found(&rows), ["A1: no test src/b.rs::it_moves"]);
}

#[test]
fn a_row_without_a_test_is_found() {
    assert_eq!(found(&SOUND.replace("`src/a.rs::it_moves`, or stays", "")), ["A1: shown by nothing"]);
    assert_eq!(found(&SOUND.replace("cannot be here: there", "There")), ["A2: shown by nothing"]);
    assert_eq!(found(&SOUND.replace("| moves |", "| |")), ["A1: it says nothing"]);
}

#[test]
fn only_tests_that_run_are_tests() {
    let source = "#[test]\nfn runs() {}\n\n#[test]\n#[ignore = \"slow\"]\nfn is_ignored() {}\n\n\
        fn helps() {}\n\n// #[test]\nfn is_commented_out() {}\n\n\
        #[test]\n#[expect(clippy::unwrap_used)]\n// Why.\nfn is_annotated() {}\n\n\
        proptest! {\n    #[test]\n    fn is_a_property(seed in 0..9u8) {}\n}\n";
    let tests: Vec<_> = sources::tests_of(source).into_iter().collect();
    assert_eq!(tests, ["is_a_property", "is_annotated", "runs"]);
}
