//! Card numbers in clear (P14): runs of digits that could be one.
//!
//! Owns what counts as a card number in a text: 13 to 19 digits that pass Luhn's check, alone or in
//! groups of four or more with single spaces or hyphens between, beginning with 2 to 6 as the
//! numbers of card networks do (clock readings and counters begin with 0 or 1). Never prints one.

/// The first card number in a text.
pub fn find(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let mut place = 0;
    while place < bytes.len() {
        if !bytes[place].is_ascii_digit() {
            place += 1;
            continue;
        }
        let end = run_end(bytes, place);
        if is_one(&bytes[place..end]) {
            return text.get(place..end);
        }
        place = end;
    }
    None
}

/// Past the digits that belong together, with their separators.
fn run_end(bytes: &[u8], start: usize) -> usize {
    let digits =
        |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut end = start + digits(start);
    let mut group = end - start;
    while group >= 4 && matches!(bytes.get(end), Some(b' ' | b'-')) {
        let next = digits(end + 1);
        if next == 0 {
            break;
        }
        group = next;
        end += 1 + next;
    }
    end
}

fn is_one(run: &[u8]) -> bool {
    matches!(run.first(), Some(b'2'..=b'6')) && passes(run)
}

/// A whole text that is nothing but a card number, as a card token must not be.
pub fn is_card_number(text: &str) -> bool {
    let bytes = text.as_bytes();
    let only = bytes.iter().all(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'-'));
    only && bytes.first().is_some_and(u8::is_ascii_digit) && passes(bytes)
}

/// 13 to 19 digits, every second from the right doubled, sum divisible by 10.
fn passes(run: &[u8]) -> bool {
    let digits: Vec<u32> =
        run.iter().filter_map(|byte| char::from(*byte).to_digit(10)).rev().collect();
    let doubled = |(place, digit): (usize, &u32)| match place % 2 {
        0 => *digit,
        _ if *digit > 4 => digit * 2 - 9,
        _ => digit * 2,
    };
    let sum: u32 = digits.iter().enumerate().map(doubled).sum();
    (13..=19).contains(&digits.len()) && sum.is_multiple_of(10)
}

/// The text with every card number blotted out.
pub fn masked(text: &str) -> String {
    let mut shown = text.to_owned();
    while let Some(number) = find(&shown).map(str::to_owned) {
        shown = shown.replace(&number, "[card number]");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: card numbers are found, look-alikes are not. Method: a table.
    #[test]
    fn finds() {
        for (text, found) in [
            ("4111111111111111", true),
            ("call 4111 1111 1111 1111 now", true),
            ("amex 3782-822463-10005", true),
            ("4111111111111112", false),
            ("ref 41111111111111110000000", false), // longer than any
            ("2026-11-22 10:00", false),
            ("1732290000000", false),
            ("tok_41", false),
        ] {
            assert_eq!(find(text).is_some(), found, "{text}");
        }
        assert_eq!(masked("a 4111111111111111 b"), "a [card number] b");
    }
}
