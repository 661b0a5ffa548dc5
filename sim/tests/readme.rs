//! What the documentation shows is what is tested.

const README: &str = include_str!("../README.md");
const EXAMPLE: &str = include_str!("own_application.rs");

#[test]
fn the_first_example_is_a_test() {
    assert!(
        README.contains(&format!("```rust\n{EXAMPLE}```\n")),
        "README.md shows another own_application.rs"
    );
}

#[test]
fn a_test_of_thirty_lines_is_enough() {
    let (_, test) = EXAMPLE.split_once("#[test]\n").expect("there is one");
    let lines = test.lines().take_while(|line| *line != "}").count() + 1;
    assert!((10..=30).contains(&lines), "{lines} lines");
}
