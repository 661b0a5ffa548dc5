//! Sizes as people write them: `10`, `4k`, `32M`, `1G`, in steps of 1024.

/// Reads a size in bytes.
///
/// # Errors
///
/// A sentence that says what is wrong and what would be right.
pub fn parse(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|last: char| !last.is_ascii_digit());
    let shift = match &text[digits.len()..] {
        "" => 0,
        "k" | "K" => 10,
        "m" | "M" => 20,
        "g" | "G" => 30,
        unit => return Err(format!("`{unit}` is no unit; use k, M or G, as in 4k, 32M or 1G")),
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err("a size is a whole number, and perhaps k, M or G, as in 10, 4k, 32M or 1G".to_owned());
    }
    let too_large = || format!("{text} is too large; the limit is {}G", u64::MAX >> 30);
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift)).ok_or_else(too_large)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn units_are_steps_of_1024() {
        assert_eq!(["10", "4k", "32M", "1G", "0"].map(parse), [10, 4 << 10, 32 << 20, 1 << 30, 0].map(Ok));
    }

    #[test]
    fn what_is_no_size_is_refused_with_a_reason() {
        for text in
            ["", "k", "4x", "4kB", "-1", "1.5M", "4 k", "99999999999G", "99999999999999999999", "4k4", "½"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
